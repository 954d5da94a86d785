"""The models and the migration say what the tables of the sql transport are, so that both may use one broker."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from dulse import Connection, Queue, errors
from dulse.transports.django.storage import DjangoStorage
from dulse.transports.sql import SQLStorage
from dulse.transports.sql.schema import TABLES

pytestmark = pytest.mark.timeout(240)

WORK = Queue("work")


def open_and_close(alias: str) -> None:
    """See that the tables are those of a broker."""
    storage = DjangoStorage(alias)
    storage.open(30)
    storage.close(5)


def models() -> dict[str, Any]:
    from django.apps import apps

    return {model._meta.db_table: model for model in apps.get_app_config("dulse").get_models() if model._meta.managed}


def test_every_table_but_that_of_the_version_is_a_model(django_sqlite: str) -> None:
    assert {*models(), "dulse_meta"} == set(TABLES)


def test_the_models_have_the_columns_of_the_tables(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        for table, model in models().items():
            found = connections[alias].introspection.get_table_description(cursor, table)
            # SQLite says that a key which is a number may be NULL: it stands for the next one.
            assert {column.name: bool(column.null_ok) and column.name != "id" for column in found} == {
                field.column: field.null for field in model._meta.fields
            }, table


def test_the_migrations_are_complete(django_sqlite: str) -> None:
    call_command("makemigrations", "dulse", check=True, dry_run=True, stdout=StringIO())


def test_the_migration_can_be_undone_and_done_again(alias: str) -> None:
    call_command("migrate", "dulse", "zero", database=alias, verbosity=0)
    assert not set(TABLES) & set(connections[alias].introspection.table_names())

    call_command("migrate", "dulse", database=alias, verbosity=0)

    open_and_close(alias)


def test_flush_leaves_a_broker_that_is_empty(alias: str) -> None:
    with Connection(f"django://{alias}") as connection:
        WORK(connection.default_channel).declare()
        connection.Producer().publish("tea", routing_key="work")

    call_command("flush", database=alias, verbosity=0, interactive=False, inhibit_post_migrate=True)

    with Connection(f"django://{alias}") as connection:
        assert connection.manager.queues() == []
        WORK(connection.default_channel).declare()
        connection.Producer().publish("coffee", routing_key="work")
        message = WORK(connection.default_channel).get()
        assert message is not None
        assert message.payload == "coffee"


def test_a_program_without_django_uses_the_same_broker(django_postgresql: str, postgresql_url: str) -> None:
    with Connection(f"django://{django_postgresql}") as ours, Connection(postgresql_url) as theirs:
        WORK(ours.default_channel).declare()
        ours.Producer().publish("to them", routing_key="work")
        message = WORK(theirs.default_channel).get()
        assert message is not None
        assert message.payload == "to them"
        message.ack()
        theirs.Producer().publish("to us", routing_key="work")
        answer = WORK(ours.default_channel).get()
        assert answer is not None
        assert answer.payload == "to us"


def test_tables_that_the_sql_transport_has_made_are_taken_over(postgresql_url: str) -> None:
    from tests.transports.django.databases import added, migrate, postgresql_config

    storage = SQLStorage(postgresql_url)
    storage.open(30)
    storage.close(5)
    with added(postgresql_config(postgresql_url)) as alias:
        migrate(alias, "dulse")
        open_and_close(alias)


def test_tables_of_somebody_else_are_left_alone_by_the_migration(postgresql_url: str) -> None:
    from tests.transports.django.databases import added, migrate, postgresql_config

    with added(postgresql_config(postgresql_url)) as alias:
        with connections[alias].cursor() as cursor:
            cursor.execute("CREATE TABLE dulse_record (mine int)")

        with pytest.raises(errors.StorageCorrupt, match="not those of a broker"):
            migrate(alias, "dulse")
