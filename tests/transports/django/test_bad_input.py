"""What is wrong with a project or its database is told by an error of its kind, which says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connections

from dulse import Connection, Queue, errors
from dulse.model.records import Put, Target
from dulse.transports.django.storage import DjangoStorage
from tests.servers.postgresql import PostgreSQL
from tests.transports.django.databases import added, migrate, postgresql_config, sqlite_config

pytestmark = pytest.mark.timeout(240)

SECRET = "s3cret"


def opened(alias: str) -> DjangoStorage:
    storage = DjangoStorage(alias)
    storage.open(10)
    return storage


def program(code: str, **environment: str) -> str:
    """Run a program of its own and give what it says at its end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "DULSE"))}
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env={**inherited, **environment}
    )
    return done.stderr.strip().rpartition("\n")[2]


CONNECT = "from dulse import Connection; Connection('django://').connect()"


def test_a_program_without_settings_is_told_to_name_them() -> None:
    assert "InvalidArgument: django:// needs the settings of a Django project" in program(CONNECT)


def test_settings_that_cannot_be_imported_are_told() -> None:
    assert "cannot be set up, so that django:// has no database" in program(
        CONNECT, DJANGO_SETTINGS_MODULE="nothing.of.that.name"
    )


def test_a_project_that_does_not_name_the_app_is_told_to() -> None:
    code = "from django.conf import settings; import django; settings.configure(); django.setup(); "

    assert "add 'dulse.transports.django' to INSTALLED_APPS" in program(code + CONNECT)


def test_migrations_that_were_not_applied_are_told(tmp_path: Path) -> None:
    with (
        added(sqlite_config(tmp_path / "new.sqlite")) as alias,
        pytest.raises(errors.StorageCorrupt, match=f"run 'manage.py migrate dulse --database {alias}'"),
    ):
        opened(alias)


def test_a_database_that_the_project_does_not_have_is_told(django_sqlite: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"django://nowhere names no database .* default"):
        Connection("django://nowhere").connect()


@pytest.mark.parametrize("url", ["django://ann:s3cret@default", "django://default:5432", "django://default/broker"])
def test_a_url_that_says_more_than_the_alias_is_refused(django_sqlite: str, url: str) -> None:
    with pytest.raises(errors.InvalidURL, match="names a database of the project and no more") as raised:
        Connection(url).connect()
    assert SECRET not in str(raised.value)


def test_a_database_in_the_memory_of_one_connection_is_refused() -> None:
    with (
        added({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}) as alias,
        pytest.raises(errors.NotSupported, match="name a file"),
    ):
        DjangoStorage(alias)


def test_an_engine_that_keeps_no_broker_is_refused() -> None:
    with (
        added({"ENGINE": "django.db.backends.dummy", "NAME": "x"}) as alias,
        pytest.raises(errors.NotSupported, match="PostgreSQL or SQLite"),
    ):
        DjangoStorage(alias)


def test_a_blocking_connection_on_an_event_loop_is_refused(django_sqlite: str) -> None:
    import asyncio

    async def connect() -> None:
        Connection(f"django://{django_sqlite}").connect()

    with pytest.raises(errors.NotSupported, match=r"dulse\.aio"):
        asyncio.run(connect())


def test_tables_of_a_newer_version_are_left_alone(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("UPDATE dulse_meta SET value = 99 WHERE name = 'version'")

    with pytest.raises(errors.StorageCorrupt, match="newer dulse"):
        opened(alias)


def test_a_table_that_was_dropped_under_us_is_told(alias: str) -> None:
    storage = opened(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute("DROP TABLE dulse_record")

    with pytest.raises(errors.StorageCorrupt, match="no longer those of a dulse broker"):
        storage.put([Put(b"1", [Target("q")])])
    storage.close(5)


def test_missing_rights_are_told(postgresql: PostgreSQL, postgresql_url: str, django_postgresql: str) -> None:
    database = postgresql_url.rpartition("/")[2]
    user = f"guest_{database}"
    postgresql.query(f"CREATE USER {user} PASSWORD '{SECRET}'", database)
    config = {**postgresql_config(postgresql_url), "USER": user, "PASSWORD": SECRET}
    try:
        with added(config) as alias, pytest.raises(errors.StorageReadOnly, match="this user may not") as raised:
            opened(alias)
        assert SECRET not in str(raised.value)
    finally:
        postgresql.query(f"DROP USER {user}", database)


def test_a_wrong_password_is_told_and_not_repeated(postgresql_url: str) -> None:
    with (
        added({**postgresql_config(postgresql_url), "PASSWORD": SECRET}) as alias,
        pytest.raises(errors.AuthenticationFailed, match=alias) as raised,
    ):
        opened(alias)
    assert SECRET not in str(raised.value)


def test_a_server_that_is_absent_refuses() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        free_port = free.getsockname()[1]
    with (
        added(postgresql_config(f"postgresql://ann:{SECRET}@127.0.0.1:{free_port}/broker")) as alias,
        pytest.raises(errors.ConnectionRefused, match=alias) as raised,
    ):
        opened(alias)
    assert SECRET not in str(raised.value)


def test_a_caller_whose_lock_is_not_given_in_time_is_told(postgresql_url: str, django_postgresql: str) -> None:
    from django.db import transaction

    other = connections[django_postgresql].copy()
    other.connect()
    with Connection(f"django://{django_postgresql}") as connection, other.cursor() as cursor:
        Queue("work")(connection.default_channel).declare()
        cursor.execute("BEGIN; LOCK TABLE dulse_record IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(errors.StorageBusy), transaction.atomic(using=django_postgresql):
            connection.Producer().publish("late", routing_key="work", timeout=0.5)
    other.close()


def test_records_that_nobody_of_ours_wrote_are_set_aside_and_the_rest_go_on(alias: str) -> None:
    with Connection(f"django://{alias}") as connection:
        work = Queue("work")(connection.default_channel)
        work.declare()
        storage = opened(alias)
        storage.put([Put(b"\xff not of ours", [Target("work")])])
        storage.close(5)
        connection.Producer().publish("tea", routing_key="work")

        message = work.get()

        assert message is not None
        assert message.payload == "tea"
        message.ack()
        (status,) = connection.manager.queues("dulse.set-aside")
        assert status.ready == 1


def test_a_project_is_set_up_by_whoever_connects_first(tmp_path: Path) -> None:
    path = tmp_path / "project.sqlite"
    with added(sqlite_config(path)) as alias:
        migrate(alias, "dulse")
    named = {"DJANGO_SETTINGS_MODULE": "tests.transports.django.project", "DULSE_DJANGO_DEFAULT": str(path)}

    assert program(CONNECT, **named) == ""
