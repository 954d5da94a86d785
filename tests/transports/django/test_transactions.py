"""What is published within `transaction.atomic()` exists exactly if that transaction commits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.db.utils import DatabaseError

from dulse import Connection, Exchange, Queue, aio, errors

pytestmark = pytest.mark.timeout(240)

WORK = Queue("work")

ON_BOTH = pytest.mark.parametrize("alias", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def connection(alias: str) -> Iterator[Connection]:
    """A connection to the broker, with one queue."""
    with Connection(f"django://{alias}") as opened:
        WORK(opened.default_channel).declare()
        yield opened


@contextmanager
def undone(alias: str) -> Iterator[None]:
    """A transaction that is rolled back."""
    with transaction.atomic(using=alias):
        yield
        transaction.set_rollback(True, using=alias)


def found(connection: Connection, queue: Queue = WORK) -> list[Any]:
    """Take all that is there."""
    bound = queue(connection.default_channel)
    payloads = []
    while (message := bound.get()) is not None:
        payloads.append(message.payload)
        message.ack()
    return payloads


def orders(alias: str) -> Any:
    from tests.transports.django.shop.models import Order

    return Order.objects.using(alias)


@ON_BOTH
def test_a_publish_is_committed_with_the_work_around_it(alias: str, connection: Connection) -> None:
    with transaction.atomic(using=alias):
        orders(alias).create(what="tea")
        connection.Producer().publish("tea", routing_key="work")
        with Connection(f"django://{alias}") as other:
            (status,) = other.manager.queues("work")
            assert status.ready == 0

    assert found(connection) == ["tea"]
    assert orders(alias).count() == 1


@ON_BOTH
def test_a_publish_is_undone_with_the_work_around_it(alias: str, connection: Connection) -> None:
    with undone(alias):
        orders(alias).create(what="tea")
        connection.Producer().publish("tea", routing_key="work")

    assert found(connection) == []
    assert orders(alias).count() == 0


def test_a_batch_is_undone_as_well(alias: str, connection: Connection) -> None:
    producer = connection.Producer()
    with undone(alias), producer.batch():
        for number in range(10):
            producer.publish(number, routing_key="work")
    with transaction.atomic(using=alias), producer.batch():
        for number in range(10):
            producer.publish(number, routing_key="work")

    assert found(connection) == list(range(10))


def test_a_savepoint_that_is_given_up_takes_its_messages_along(alias: str, connection: Connection) -> None:
    producer = connection.Producer()
    with transaction.atomic(using=alias):
        producer.publish("kept", routing_key="work")
        with undone(alias):
            producer.publish("lost", routing_key="work")
        producer.publish("kept too", routing_key="work")

    assert found(connection) == ["kept", "kept too"]


def test_outside_of_a_transaction_a_message_is_there_at_once(alias: str, connection: Connection) -> None:
    connection.Producer().publish("now", routing_key="work")

    assert found(connection) == ["now"]


def test_a_transaction_that_is_ended_by_hand_counts_as_one(alias: str, connection: Connection) -> None:
    producer = connection.Producer()
    transaction.set_autocommit(False, using=alias)
    try:
        producer.publish("lost", routing_key="work")
        transaction.rollback(using=alias)
        producer.publish("kept", routing_key="work")
        transaction.commit(using=alias)
    finally:
        transaction.rollback(using=alias)
        transaction.set_autocommit(True, using=alias)

    assert found(connection) == ["kept"]


def test_a_message_reaches_all_its_queues_with_the_commit(alias: str, connection: Connection) -> None:
    news = Exchange("news", "fanout")
    queues = [Queue(name, news) for name in ("one", "two", "three")]
    for queue in queues:
        queue(connection.default_channel).declare()
    with undone(alias):
        connection.Producer().publish("lost", exchange="news")
    with transaction.atomic(using=alias):
        connection.Producer().publish("kept", exchange="news")

    assert [found(connection, queue) for queue in queues] == [["kept"]] * 3


def test_the_transaction_of_another_thread_is_none_of_ours(alias: str, connection: Connection) -> None:
    def publish() -> None:
        try:
            connection.Producer().publish("at once", routing_key="work")
        finally:
            connections[alias].close()

    if alias_is_sqlite(alias):
        pytest.skip("SQLite has one writer at a time")
    with undone(alias):
        orders(alias).create(what="tea")
        thread = threading.Thread(target=publish)
        thread.start()
        thread.join(60)

    assert found(connection) == ["at once"]


def alias_is_sqlite(alias: str) -> bool:
    return bool(connections[alias].vendor == "sqlite")


def test_what_is_refused_leaves_the_rest_of_the_transaction(alias: str, connection: Connection) -> None:
    full = Queue("full", max_length=1, queue_arguments={"x-overflow": "reject-publish"})
    full(connection.default_channel).declare()
    with transaction.atomic(using=alias):
        orders(alias).create(what="tea")
        connection.Producer().publish("first", routing_key="full")
        with pytest.raises(errors.Refused):
            connection.Producer().publish("second", routing_key="full")
        connection.Producer().publish("work", routing_key="work")

    assert (found(connection, full), found(connection), orders(alias).count()) == (["first"], ["work"], 1)


def test_a_queue_that_drops_its_oldest_is_within_its_limit_after_the_next_publish(
    alias: str, connection: Connection
) -> None:
    short = Queue("short", max_length=2)
    short(connection.default_channel).declare()
    with transaction.atomic(using=alias):
        for number in range(5):
            connection.Producer().publish(number, routing_key="short")
    connection.Producer().publish(5, routing_key="short")

    assert found(connection, short) == [4, 5]


def test_consuming_within_a_transaction_is_refused(alias: str, connection: Connection) -> None:
    connection.Producer().publish("stays", routing_key="work")
    with transaction.atomic(using=alias), pytest.raises(errors.NotSupported, match="TransactionTestCase"):
        WORK(connection.default_channel).get()

    assert found(connection) == ["stays"]


def test_a_handler_may_acknowledge_within_its_own_transaction(alias: str, connection: Connection) -> None:
    connection.Producer().publish("tea", routing_key="work")

    def handle(message: Any) -> None:
        with transaction.atomic(using=alias):
            orders(alias).create(what=message.payload)
            connection.Producer().publish("done", routing_key="work" if message.payload == "tea" else "none")
            message.ack()

    with connection.Consumer(WORK, on_message=handle):
        connection.drain_events(timeout=30)
        connection.drain_events(timeout=30)

    assert sorted(orders(alias).values_list("what", flat=True)) == ["done", "tea"]
    assert found(connection) == []


def test_a_connection_may_be_opened_and_closed_within_a_transaction(alias: str, connection: Connection) -> None:
    with transaction.atomic(using=alias):
        orders(alias).create(what="tea")
        with Connection(f"django://{alias}") as inner:
            inner.Producer().publish("tea", routing_key="work")

    assert found(connection) == ["tea"]


def test_declaring_again_within_a_transaction_does_no_harm(alias: str, connection: Connection) -> None:
    with transaction.atomic(using=alias):
        orders(alias).create(what="tea")
        connection.Producer().publish("tea", routing_key="work", declare=[WORK])

    assert found(connection) == ["tea"]


def test_declaring_within_a_transaction_is_done_at_once_on_postgresql(django_postgresql: str) -> None:
    with Connection(f"django://{django_postgresql}") as connection:
        with undone(django_postgresql):
            orders(django_postgresql).create(what="tea")
            connection.Producer().publish("lost", routing_key="new", declare=[Queue("new")])
            Queue("newer")(connection.default_channel).declare()

        assert [status.name for status in connection.manager.queues()] == ["new", "newer"]
        assert found(connection, Queue("new")) == []


def test_declaring_within_a_transaction_is_refused_on_sqlite(django_sqlite: str) -> None:
    with Connection(f"django://{django_sqlite}") as connection, transaction.atomic(using=django_sqlite):
        orders(django_sqlite).create(what="tea")
        with pytest.raises(errors.StorageBusy, match="this very thread"):
            Queue("new")(connection.default_channel).declare()

    assert orders(django_sqlite).count() == 1


def test_a_transaction_that_has_failed_takes_no_more_messages(alias: str, connection: Connection) -> None:
    with undone(alias):
        with pytest.raises(DatabaseError), transaction.atomic(using=alias, savepoint=False):
            connections[alias].cursor().execute("SELECT nothing FROM nowhere")
        with pytest.raises(errors.NotSupported, match="has failed"):
            connection.Producer().publish("lost", routing_key="work")

    assert found(connection) == []


def test_asyncio_under_async_to_sync_publishes_into_the_transaction_of_its_caller(
    alias: str, connection: Connection
) -> None:
    async def publish(payload: str) -> None:
        async with aio.Connection(f"django://{alias}") as inner:
            await inner.Producer().publish(payload, routing_key="work")

    if alias_is_sqlite(alias):
        pytest.skip("its threads wait for SQLite's only writer, which waits for them")
    with undone(alias):
        async_to_sync(publish)("lost")
    with transaction.atomic(using=alias):
        async_to_sync(publish)("kept")

    assert found(connection) == ["kept"]


async def test_a_blocking_publish_from_a_coroutine_joins_the_transaction_of_its_thread(django_sqlite: str) -> None:
    def work() -> list[Any]:
        with Connection(f"django://{django_sqlite}") as connection:
            WORK(connection.default_channel).declare()
            with transaction.atomic(using=django_sqlite):
                connection.Producer().publish("kept", routing_key="work")
            with undone(django_sqlite):
                connection.Producer().publish("lost", routing_key="work")
            result = found(connection)
        connections[django_sqlite].close()
        return result

    assert await sync_to_async(work)() == ["kept"]
