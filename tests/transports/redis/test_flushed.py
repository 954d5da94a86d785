"""Topology that was flushed or evicted under those who use it is told to them, and never passed over in silence."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import dulse.aio
from dulse import Connection, Message, Producer, Queue, errors
from tests.servers.redis import RedisServer

WORK = Queue("work")
PATIENCE = 30


def declare(connection: Connection) -> None:
    channel = connection.default_channel
    channel.exchange_declare("here", "direct")
    WORK(channel).declare()
    channel.queue_bind("work", "here", "work")


@pytest.fixture(params=["confirm_publish=true", "confirm_publish=false", "fleet=mixed"])
def connection(redis_server: RedisServer, request: pytest.FixtureRequest) -> Iterator[Connection]:
    with Connection(f"{redis_server.url}?{request.param}") as made:
        declare(made)
        yield made


def published(producer: Producer, body: str, exchange: str) -> None:
    producer.publish(body, exchange=exchange, routing_key="work")
    producer.flush()


@pytest.mark.parametrize("knows_route", [True, False], ids=["route known", "route unknown"])
@pytest.mark.parametrize("others", ["nobody", "somebody connects", "somebody declares"])
@pytest.mark.parametrize("exchange", ["here", ""])
def test_a_publisher_is_told_of_a_flush_until_it_declares_anew(
    redis_server: RedisServer, connection: Connection, exchange: str, others: str, knows_route: bool
) -> None:
    producer = connection.Producer()
    if knows_route:
        published(producer, "one", exchange)
    redis_server.cli("flushall")
    if others != "nobody":
        with Connection(redis_server.url) as other:
            other.connect()
            if others == "somebody declares":
                Queue("something else")(other.default_channel).declare()

    for _ in range(2):
        with pytest.raises((errors.PublishError, errors.NotFound)):
            published(producer, "two", exchange)

    declare(connection)
    published(producer, "three", exchange)
    found = WORK(connection.default_channel).get()
    assert found is not None
    assert found.payload == "three"


@pytest.mark.parametrize("knows_route", [True, False], ids=["route known", "route unknown"])
@pytest.mark.parametrize(("exchange", "evicted"), [("", "q/work"), ("here", "x/here")])
def test_a_publisher_is_told_that_a_part_of_the_topology_was_evicted(
    redis_server: RedisServer, connection: Connection, exchange: str, evicted: str, knows_route: bool
) -> None:
    producer = connection.Producer()
    if knows_route:
        published(producer, "one", exchange)
    assert redis_server.cli("unlink", f"dulse.group:{evicted}") == "1"

    with pytest.raises((errors.PublishError, errors.NotFound)):
        published(producer, "two", exchange)

    declare(connection)
    published(producer, "three", exchange)


def test_what_was_deleted_in_order_is_nothing_to_tell_of(redis_server: RedisServer, connection: Connection) -> None:
    producer = connection.Producer()
    published(producer, "one", "")
    WORK(connection.default_channel).delete()

    published(producer, "two", "")

    assert redis_server.cli("llen", "work") == "0"


def test_a_publisher_that_others_have_healed_goes_on(redis_server: RedisServer, connection: Connection) -> None:
    producer = connection.Producer()
    published(producer, "one", "here")
    redis_server.cli("flushall")
    with Connection(redis_server.url) as other:
        declare(other)

    published(producer, "two", "here")

    found = WORK(connection.default_channel).get()
    assert found is not None
    assert found.payload == "two"


@pytest.mark.parametrize("command", [("flushall",), ("unlink", "dulse.group:q/work")], ids=["flushed", "evicted"])
def test_a_consumer_is_told_that_its_queue_is_gone_and_goes_on_when_it_is_declared(
    redis_server: RedisServer, connection: Connection, command: tuple[str, ...]
) -> None:
    with connection.Consumer(WORK) as consumer:
        published(connection.Producer(), "one", "here")
        (first,) = consumer.messages(limit=1, timeout=PATIENCE)
        assert first.payload == "one"
        first.ack()
        redis_server.cli(*command)
        began = time.monotonic()

        with pytest.raises(errors.ConsumerCancelled, match="'work'"):
            list(consumer.messages(limit=1, timeout=PATIENCE))

        assert time.monotonic() - began < 15
    declare(connection)
    published(connection.Producer(), "two", "here")
    with connection.Consumer(WORK) as consumer:
        (second,) = consumer.messages(limit=1, timeout=PATIENCE)
        assert second.payload == "two"
        second.ack()


def test_a_consumer_whose_queue_others_have_declared_again_goes_on(redis_server: RedisServer) -> None:
    found: list[str] = []

    def take(message: Message[str]) -> None:
        found.append(message.payload)
        message.ack()

    with Connection(redis_server.url) as connection, Connection(redis_server.url) as other:
        declare(connection)
        with connection.Consumer(WORK, on_message=take):
            # in one step: between two of them the consumer might be ended, rightly
            script = "local key = KEYS[1] local kept = redis.call('DUMP', key) redis.call('FLUSHALL') "
            script += "redis.call('RESTORE', key, 0, kept) return 1"
            assert redis_server.cli("eval", script, "1", "dulse.group:q/work") == "1"
            declare(other)
            published(other.Producer(), "again", "here")
            while not found:
                connection.drain_events(timeout=PATIENCE)

    assert found == ["again"]


async def test_both_are_told_by_asyncio_too(redis_server: RedisServer) -> None:
    async with dulse.aio.Connection(redis_server.url) as connection:
        channel = await connection.default_channel
        queue = dulse.aio.Queue("work")(channel)
        await queue.declare()
        producer = connection.Producer()
        consumer = connection.Consumer(queue)
        async with consumer:
            await producer.publish("one", routing_key="work")
            assert [message.payload async for message in consumer.messages(limit=1, timeout=PATIENCE)] == ["one"]
            redis_server.cli("flushall")

            await producer.publish("two", routing_key="work")
            with pytest.raises(errors.PublishError, match="declare all again"):
                await producer.flush()
            with pytest.raises(errors.ConsumerCancelled, match="'work'"):
                assert [message async for message in consumer.messages(limit=1, timeout=PATIENCE)] == []

        await queue.declare()
        await producer.publish("three", routing_key="work")
        await producer.flush()
        found = await queue.get()
        assert found is not None
        assert found.payload == "three"
