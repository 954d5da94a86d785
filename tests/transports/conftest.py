"""Every test here begins with empty memory stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dulse.transports.memory import forget_store


@pytest.fixture(autouse=True)
def _empty_memory_stores() -> Iterator[None]:
    yield
    for name in ["", "a", "b"]:
        forget_store(name)
