"""The sql transport keeps what the conformance suite asks of it, through both APIs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse.testing.conformance.suite import ConformanceSuite
from tests.servers.postgresql import PostgreSQL


@pytest.fixture(scope="module")
def conformance_url(postgresql_session: PostgreSQL) -> Iterator[str]:
    """Name one database for all cases: to make one takes longer than most of them."""
    postgresql_session.start()
    postgresql_session.query("CREATE DATABASE conformance")
    yield postgresql_session.url_of("conformance")
    postgresql_session.start()
    postgresql_session.query("DROP DATABASE conformance WITH (FORCE)")


class TestPostgreSQL(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, conformance_url: str) -> str:
        return conformance_url


class TestMariaDB(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, mariadb_url: str) -> str:
        return mariadb_url


class TestSQLiteBySQLAlchemy(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, tmp_path: Path) -> str:
        return f"sqla+sqlite:///{tmp_path}/broker.sqlite"
