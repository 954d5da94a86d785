"""The servers that most tests of the sql transport run on, one after the other."""

from __future__ import annotations

import pytest

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> PostgreSQL | MariaDB:
    """Give a server that runs."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, PostgreSQL | MariaDB)
    return found


@pytest.fixture
def url(request: pytest.FixtureRequest, server: PostgreSQL | MariaDB) -> str:
    """Give the URL of an empty database there."""
    found = request.getfixturevalue(f"{type(server).__name__.lower()}_url")
    assert isinstance(found, str)
    return found
