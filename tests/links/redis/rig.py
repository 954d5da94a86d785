"""Settings of links as a user gives them."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import Settings, settings_from
from dulse.model.options import build
from dulse.model.parameters import parse_url

PATIENCE = 60.0
"""Seconds that a call may take in a test on a machine under load."""


def settings(url: str, /, password: Callable[[], str] | None = None, prefix: str = "", **options: Any) -> Settings:
    """What a URL, or several separated by semicolons, and options mean; calls are patient unless told otherwise."""
    first, *others = [parse_url(each) for each in url.split(";")]
    given = {"answer_timeout": PATIENCE, "connect_timeout": PATIENCE, **options}
    chosen = build(LinkOptions, given, of="the redis transport")
    return settings_from(first, chosen, others=others, password=password, prefix=prefix)


def soon() -> float:
    """A time that is late enough for anything."""
    return monotonic() + PATIENCE
