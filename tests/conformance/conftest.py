"""Which cases `make test` runs: all on memory and sqlite, and on every other broker one of each promise."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what a class with `is_short` leaves to `make test-all`: the forms of the API take turns."""
    seen: dict[tuple[object, str], int] = {}
    for item in items:
        suite = getattr(item, "cls", None)
        if not getattr(suite, "is_short", False):
            continue
        case = item.callspec.params["case"]  # type: ignore[attr-defined] # of a parametrized function
        promise, form = case.name.partition(".")[0], item.name.partition("[")[2].partition("-")[0]
        turn = ("sync", "aio")[len(promise) % 2]
        if form != turn or seen.setdefault((suite, promise), id(item)) != id(item):
            item.add_marker(pytest.mark.slow)
