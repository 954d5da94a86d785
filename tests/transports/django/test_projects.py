"""The transport gets along with what projects do with their connections: closing them, tests, hooks, threads."""

from __future__ import annotations

import secrets
import threading
from typing import Any

import pytest
from django.db import close_old_connections, connections, transaction
from django.db.backends.signals import connection_created

from dulse import Connection, Queue
from tests.transports.django.databases import added, migrate, postgresql_config

pytestmark = pytest.mark.timeout(240)

WORK = Queue("work")


def take(connection: Connection) -> Any:
    message = WORK(connection.default_channel).get()
    assert message is not None
    message.ack()
    return message.payload


def test_closing_the_connections_of_a_thread_does_not_concern_ours(alias: str) -> None:
    with Connection(f"django://{alias}") as connection:
        WORK(connection.default_channel).declare()
        for number in range(3):
            connection.Producer().publish(number, routing_key="work")
            with transaction.atomic(using=alias):
                connection.Producer().publish(number + 10, routing_key="work")
            close_old_connections()
            connections[alias].close()
            assert (take(connection), take(connection)) == (number, number + 10)


def test_threads_publish_each_in_a_transaction_of_its_own(django_postgresql: str) -> None:
    alias = django_postgresql
    both = threading.Barrier(2)

    def publish(what: str, *, undone: bool) -> None:
        with transaction.atomic(using=alias):
            connection.Producer().publish(what, routing_key="work")
            both.wait(60)
            transaction.set_rollback(undone, using=alias)
        connections[alias].close()

    with Connection(f"django://{alias}") as connection:
        WORK(connection.default_channel).declare()
        threads = [
            threading.Thread(target=publish, args=("kept",), kwargs={"undone": False}),
            threading.Thread(target=publish, args=("lost",), kwargs={"undone": True}),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert take(connection) == "kept"
        assert WORK(connection.default_channel).get() is None


def test_hooks_of_the_project_see_our_connections(django_postgresql: str) -> None:
    seen: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        seen.append(connection.vendor)

    connection_created.connect(note)
    try:
        with Connection(f"django://{django_postgresql}") as connection:
            WORK(connection.default_channel).declare()
    finally:
        connection_created.disconnect(note)

    assert seen
    assert set(seen) == {"postgresql"}


def test_a_pool_of_the_project_is_left_alone(postgresql_url: str) -> None:
    import django

    if django.VERSION < (5, 1):
        pytest.skip("Django has pools since 5.1")
    pytest.importorskip("psycopg_pool")
    with added(postgresql_config(postgresql_url, pool={"min_size": 1, "max_size": 1})) as alias:
        migrate(alias, "dulse")
        with Connection(f"django://{alias}") as connection:
            WORK(connection.default_channel).declare()
            with transaction.atomic(using=alias):
                connection.Producer().publish("tea", routing_key="work")
            assert take(connection) == "tea"
        wrapper: Any = connections[alias]  # of PostgreSQL
        wrapper.close_pool()


def test_a_database_for_tests_in_memory_serves_one_process() -> None:
    name = f"file:memory_{secrets.token_hex(4)}?mode=memory&cache=shared"
    with added({"ENGINE": "django.db.backends.sqlite3", "NAME": name}) as alias:
        migrate(alias, "dulse")
        with Connection(f"django://{alias}") as connection:
            WORK(connection.default_channel).declare()
            with transaction.atomic(using=alias):
                connection.Producer().publish("kept", routing_key="work")
            with transaction.atomic(using=alias):
                connection.Producer().publish("lost", routing_key="work")
                transaction.set_rollback(True, using=alias)

            assert take(connection) == "kept"
            assert WORK(connection.default_channel).get() is None


def test_within_the_transaction_of_a_test_case_the_records_can_be_counted(alias: str) -> None:
    from dulse.transports.django.models import Record

    with Connection(f"django://{alias}") as connection:
        WORK(connection.default_channel).declare()
        with transaction.atomic(using=alias):
            connection.Producer().publish("tea", routing_key="work")
            assert [record.queue for record in Record.objects.using(alias).all()] == ["work"]
            transaction.set_rollback(True, using=alias)


def test_an_idle_consumer_on_postgresql_is_woken_by_a_commit(django_postgresql: str) -> None:
    alias = django_postgresql
    got: list[Any] = []
    came = threading.Event()
    ready = threading.Event()

    def consume() -> None:
        with Connection(f"django://{alias}") as connection:

            def on_message(message: Any) -> None:
                got.append(message.payload)
                message.ack()
                came.set()

            with connection.Consumer(WORK, on_message=on_message):
                ready.set()
                connection.drain_events(timeout=60)

    with Connection(f"django://{alias}") as connection:
        WORK(connection.default_channel).declare()
        thread = threading.Thread(target=consume)
        thread.start()
        assert ready.wait(60)
        with transaction.atomic(using=alias):
            connection.Producer().publish("tea", routing_key="work")
            assert not came.wait(0.3)
        assert came.wait(60)
        thread.join(60)

    assert got == ["tea"]
