"""The django transport keeps what the conformance suite asks of it, through both APIs, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dulse.testing.conformance.suite import ConformanceSuite
from tests.servers.postgresql import PostgreSQL
from tests.transports.django.databases import added, migrate, postgresql_config


@pytest.fixture(scope="module")
def conformance_alias(postgresql_session: PostgreSQL) -> Iterator[str]:
    """Name one database for all cases: to make one takes longer than most of them."""
    postgresql_session.start()
    postgresql_session.query("CREATE DATABASE django_conformance")
    with added(postgresql_config(postgresql_session.url_of("django_conformance"))) as alias:
        migrate(alias, "dulse")
        yield alias
    postgresql_session.start()
    postgresql_session.query("DROP DATABASE django_conformance WITH (FORCE)")


class TestPostgreSQL(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, conformance_alias: str) -> str:
        return f"django://{conformance_alias}"


class TestSQLite(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, django_sqlite: str) -> str:
        return f"django://{django_sqlite}"
