"""The sql transport keeps what the conformance suite asks of it, through both APIs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dulse.testing.conformance.suite import ConformanceSuite


class TestPostgreSQL(ConformanceSuite):
    @pytest.fixture
    def broker_url(self, postgresql_url: str) -> str:
        return postgresql_url


class TestMariaDB(ConformanceSuite):
    @pytest.fixture
    def broker_url(self, mariadb_url: str) -> str:
        return mariadb_url


class TestSQLiteBySQLAlchemy(ConformanceSuite):
    @pytest.fixture
    def broker_url(self, tmp_path: Path) -> str:
        return f"sqla+sqlite:///{tmp_path}/broker.sqlite"
