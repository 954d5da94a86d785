"""A short visit to the broker: for a page of the admin site, or a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.conf import settings

from dulse.model.parameters import Parameters
from dulse.policy.clocks import SystemClock
from dulse.transport import Management, Settings, Transport
from dulse.transports.django_driver import DEFAULT, DRIVER

__all__ = ["alias_of_project", "management_of", "visited"]

SECONDS: Final = 30.0


def alias_of_project() -> str:
    """Give the alias of the database that the project keeps its broker in: DULSE_DATABASE of its settings."""
    return str(getattr(settings, "DULSE_DATABASE", DEFAULT))


@contextmanager
def visited(alias: str) -> Iterator[Transport]:
    """Connect for a while."""
    transport = DRIVER.open_blocking(Settings(Parameters("django", hostname=alias), {}, SystemClock()))
    transport.open(SECONDS)
    try:
        yield transport
    finally:
        transport.close(SECONDS)


def management_of(transport: Transport) -> Management:
    """Give its Management, which every store has."""
    if transport.management is None:
        raise AssertionError
    return transport.management
