"""What the tests of the django transport have in common."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def alias(request: pytest.FixtureRequest) -> str:
    """A database of either kind; on PostgreSQL `make test` runs the tests alone that ask for it."""
    found = request.getfixturevalue(f"django_{request.param}")
    assert isinstance(found, str)
    return found
