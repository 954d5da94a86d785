"""What the tests of the django transport have in common."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def alias(request: pytest.FixtureRequest) -> str:
    """A database of either kind."""
    found = request.getfixturevalue(f"django_{request.param}")
    assert isinstance(found, str)
    return found
