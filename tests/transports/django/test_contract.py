"""The Storage contract on databases of a Django project, SQLite and PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from dulse.testing.storage_contract import StorageContract
from dulse.transports.django.storage import DjangoStorage
from dulse.transports.sql.schema import TABLES
from tests.servers.postgresql import PostgreSQL
from tests.transports.django.databases import added, migrate, postgresql_config


class DjangoContract(StorageContract):
    """What both databases have in common here."""

    alias: str

    def make_storage(self) -> DjangoStorage:
        storage = DjangoStorage(self.alias)
        storage.open(30)
        return storage


@pytest.mark.slow
class TestSQLite(DjangoContract):
    @pytest.fixture(autouse=True)
    def place(self, django_sqlite: str) -> None:
        self.alias = django_sqlite

    def held_up(self) -> AbstractContextManager[object]:
        return locked(self.alias, "BEGIN IMMEDIATE")


@pytest.mark.slow
class TestPostgreSQL(DjangoContract):
    """A schema of its own for each case, which is made more quickly than a database."""

    @pytest.fixture(autouse=True)
    def own_schema(self, postgresql: PostgreSQL) -> Iterator[None]:
        name = f"case_{secrets.token_hex(4)}"
        postgresql.query(f"CREATE SCHEMA {name}")
        with added(postgresql_config(postgresql.url_of(), options=f"-csearch_path={name}")) as alias:
            migrate(alias, "dulse")
            self.alias = alias
            yield
        postgresql.query(f"DROP SCHEMA {name} CASCADE")

    def held_up(self) -> AbstractContextManager[object]:
        return locked(self.alias, f"BEGIN; LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE")


@contextmanager
def locked(alias: str, statement: str) -> Iterator[None]:
    """Hold locks on everything, as a long transaction of another process does."""
    from django.db import connections

    other = connections[alias].copy()
    other.connect()
    with other.cursor() as cursor:
        cursor.execute(statement)
    yield
    other.close()
