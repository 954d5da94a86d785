"""The Storage contract on PostgreSQL, on MariaDB, and on SQLite by SQLAlchemy."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, pool, text

from dulse.testing.storage_contract import StorageContract
from dulse.transports.sql import SQLStorage
from dulse.transports.sql.schema import TABLES
from tests.servers.postgresql import PostgreSQL


class SQLContract(StorageContract):
    """What all databases have in common here."""

    url: str

    def make_storage(self) -> SQLStorage:
        storage = SQLStorage(self.url)
        storage.open(30)
        return storage


@pytest.mark.slow
class TestSQLiteBySQLAlchemy(SQLContract):
    """A file."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.url = f"sqlite:///{tmp_path}/broker.sqlite"

    def held_up(self) -> AbstractContextManager[object]:
        return locked(self.url, "BEGIN IMMEDIATE")


class TestPostgreSQL(SQLContract):
    """A schema of its own for each case, which is made more quickly than a database."""

    @pytest.fixture(autouse=True)
    def own_schema(self, postgresql: PostgreSQL) -> Iterator[None]:
        name = f"case_{secrets.token_hex(4)}"
        postgresql.query(f"CREATE SCHEMA {name}")
        self.url = f"{postgresql.url_of()}?options=-csearch_path%3D{name}"
        yield
        postgresql.query(f"DROP SCHEMA {name} CASCADE")

    def held_up(self) -> AbstractContextManager[object]:
        return locked(
            self.url.replace("postgresql:", "postgresql+psycopg:"),
            f"BEGIN; LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE",
        )


@pytest.mark.slow
class TestMariaDB(SQLContract):
    """A database of its own for each case."""

    @pytest.fixture(autouse=True)
    def place(self, mariadb_url: str) -> None:
        self.url = mariadb_url

    def held_up(self) -> AbstractContextManager[object]:
        return locked(
            self.url.replace("mariadb:", "mariadb+pymysql:"),
            f"LOCK TABLES {', '.join(f'{table} WRITE' for table in TABLES)}",
        )


@contextmanager
def locked(url: str, statement: str) -> Iterator[None]:
    """Hold locks on everything, as a long transaction does."""
    engine = create_engine(url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
        yield
