"""How this project's tests run: coroutine tests in a loop of their own, hypothesis untimed, servers that are real."""

from __future__ import annotations

import asyncio
import inspect
import os

import pytest
from hypothesis import settings

pytest_plugins = ["tests.servers.fixtures", "tests.transports.django.fixtures"]

# A deadline would measure the machine. In CI a run is repeatable; elsewhere each one looks for new cases.
settings.register_profile("dulse", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("dulse")

LONG = 240
"""Seconds that a test may take, on a machine under load, which starts many processes or is known to be slow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give such tests that time, unless they say themselves what they need."""
    for item in items:
        is_long = item.get_closest_marker("slow") or item.get_closest_marker("kill")
        if is_long and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONG))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def test_…` to its end; such a test takes plain fixtures only."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True
