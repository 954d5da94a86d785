"""What messaging programs do often."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dulse import errors
from dulse.aio.common import (
    Broadcast,
    QoS,
    collect_replies,
    declaration_cached,
    drain_consumer,
    eventloop,
    generate_oid,
    get_node_id,
    ignore_errors,
    insured,
    itermessages,
    maybe_declare,
    oid_from,
    revive_connection,
    send_reply,
    uuid,
)
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
from dulse.links.waiting.aio import run_blocking
from tests.front.aio.faulty import FaultyBroker

TASKS: Queue = Queue("tasks")


async def put(connection: Connection, *bodies: Any) -> None:
    for body in bodies:
        await connection.Producer().publish(body, routing_key="tasks", declare=[TASKS])


def ignore(body: object, message: object) -> None:
    """Do nothing with a message."""


def test_identifiers_differ() -> None:
    assert uuid() != uuid()
    assert len(uuid()) == 36


def test_an_object_is_identified_by_node_process_and_thread() -> None:
    thing, other = object(), object()
    assert oid_from(thing) == oid_from(thing)
    assert oid_from(thing) != oid_from(other)
    assert oid_from(thing, threads=False) != oid_from(thing)
    assert generate_oid(1, 2, 3, thing) == generate_oid(1, 2, 3, thing)
    assert generate_oid(1, 2, 3, thing) != generate_oid(1, 2, 4, thing)
    assert get_node_id() == get_node_id()


async def test_an_identifier_without_thread_is_the_same_in_all(url: str) -> None:
    thing = object()
    assert await run_blocking(oid_from, thing, False) == oid_from(thing, threads=False)


# -------------------------------------------------------------------------------------------------- declare


async def test_each_broadcast_queue_gets_every_message(url: str) -> None:
    async with Connection(url) as connection:
        queues = [Broadcast("news")(connection) for _ in range(2)]
        for queue in queues:
            await queue.declare()
        await connection.Producer().publish(b"1", exchange="news")
        assert [message.body for queue in queues if (message := await queue.get())] == [b"1", b"1"]


def test_a_broadcast_queue_has_a_name_of_its_own() -> None:
    first, second = Broadcast("news"), Broadcast("news")
    assert first.name != second.name
    assert first.name == first.queue
    assert first.name.startswith("bcast.")
    assert first.alias == "news"
    assert first.auto_delete
    assert first.exchange == Exchange("news", "fanout")


def test_a_broadcast_queue_may_be_named() -> None:
    assert Broadcast("news", queue="mine").name == "mine"
    assert Broadcast("news", queue="mine", unique=True).name.startswith("mine.")
    given = Exchange("other", "fanout", durable=False)
    assert Broadcast("news", exchange=given, alias="n").exchange == given
    assert Broadcast("news", exchange=given, alias="n").as_dict()["alias"] == "n"


async def test_an_entity_is_declared_once(url: str) -> None:
    async with Connection(url) as connection:
        assert not declaration_cached(TASKS, connection)
        assert await maybe_declare(TASKS, connection)
        assert not await maybe_declare(TASKS, await connection.default_channel)
        assert declaration_cached(TASKS, await connection.default_channel)
        assert (await TASKS(connection).queue_declare(passive=True)).queue == "tasks"


async def test_a_bound_entity_needs_no_channel(url: str) -> None:
    async with Connection(url) as connection:
        assert await maybe_declare(TASKS(connection))
        with pytest.raises(errors.NotBoundError):
            await maybe_declare(TASKS)


async def test_a_queue_without_a_name_gets_the_brokers(url: str) -> None:
    async with Connection(url) as connection:
        queue: Queue = Queue("", exclusive=True)
        await maybe_declare(queue, connection)
        assert queue.name


async def test_declaring_is_tried_again_on_a_new_link(url: str) -> None:
    broker = FaultyBroker(url)
    async with Connection("a.example", transport=broker.driver) as connection:
        channel = await connection.default_channel
        broker.cut()
        await connection.collect()
        assert await maybe_declare(TASKS, channel, retry=True, interval_start=0)
        assert connection.connected


# -------------------------------------------------------------------------------------------------- consume


async def test_a_loop_of_events_ends_at_its_limit(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1, 2, 3)
        async with connection.Consumer(TASKS, callbacks=[ignore], no_ack=True):
            events = [event async for event in eventloop(connection, limit=2, timeout=5)]
        assert len(events) == 2
        assert (await TASKS(connection).queue_declare(passive=True)).message_count == 1


@pytest.mark.parametrize("timeout", [0, 0.01])
async def test_a_loop_of_events_raises_when_there_is_none(url: str, timeout: float) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.DeadlineExceeded):
            _ = [event async for event in eventloop(connection, timeout=timeout)]


async def test_a_loop_of_events_may_go_on_without_one(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1)
        async with connection.Consumer(TASKS, callbacks=[ignore], no_ack=True):
            loop = eventloop(connection, limit=3, timeout=0.01, ignore_timeouts=True)
            assert len([event async for event in loop]) == 1


async def test_a_queue_is_iterated_over(url: str) -> None:
    seen: list[Any] = []
    async with Connection(url) as connection:
        await put(connection, 1, 2, 3)
        got = []
        callbacks = [lambda body, _message: seen.append(body)]
        async for body, message in itermessages(connection, None, TASKS, limit=2, timeout=5, callbacks=callbacks):
            got.append(body)
            await message.ack()
        assert got == seen == [1, 2]
        last = await TASKS(connection).get()
        assert last is not None
        assert last.payload == 3


async def test_an_iteration_ends_when_nothing_comes_in_time(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1)
        channel = await connection.channel()
        loop = itermessages(connection, channel, TASKS, limit=None, timeout=0.01, no_ack=True)
        assert [body async for body, _ in loop] == [1]


async def test_a_consumer_is_cancelled_when_the_iteration_is_left(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1, 2)
        consumer = connection.Consumer([TASKS])
        loop = drain_consumer(consumer, limit=None, timeout=5)
        async for _, message in loop:
            await message.ack()
            break
        await loop.aclose()  # type: ignore[attr-defined]
        assert not consumer.consuming_from("tasks")


async def test_replies_are_collected(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1, 2)
        assert [reply async for reply in collect_replies(connection, None, TASKS, limit=2, timeout=5)] == [1, 2]
        await put(connection, 3)
        loop = collect_replies(connection, None, TASKS, limit=1, timeout=5, no_ack=False)
        assert [reply async for reply in loop] == [3]
        await connection.close()
        assert await TASKS(connection).get() is None


async def test_a_reply_goes_where_the_request_says(url: str) -> None:
    answers: Queue = Queue("answers")
    async with Connection(url) as connection:
        await answers(connection).declare()
        await connection.Producer().publish(
            {"n": 1},
            routing_key="tasks",
            declare=[TASKS],
            reply_to="answers",
            correlation_id="42",
            serializer="json",
        )
        request = await TASKS(connection).get(no_ack=True)
        assert request is not None
        await send_reply("", request, {"n": 2})
        await send_reply("", request, {"n": 3}, connection.Producer(), correlation_id="43")
        got = [await answers(connection).get(no_ack=True) for _ in range(2)]
        assert [(each.payload, each.properties["correlation_id"]) for each in got if each] == [
            ({"n": 2}, "42"),
            ({"n": 3}, "43"),
        ]


# --------------------------------------------------------------------------------------------------- errors


async def test_errors_of_connection_and_channel_may_be_ignored(url: str) -> None:
    connection = Connection(url)

    async def lose() -> None:
        raise errors.make(errors.ConnectionLost, "gone")

    def refuse() -> None:
        raise errors.make(errors.NotFound, "missing")

    async with connection:
        assert await ignore_errors(connection, lose) is None
        assert await ignore_errors(connection, refuse) is None
        with ignore_errors(connection):
            await lose()


async def test_other_errors_are_not_ignored(url: str) -> None:
    connection = Connection(url)
    with pytest.raises(ValueError, match="odd"):
        await ignore_errors(connection, int, "odd")


async def test_the_result_of_a_call_that_works_is_given(url: str) -> None:
    assert await ignore_errors(Connection(url), int, "11", base=2) == 3


async def test_an_insured_call_gets_a_connection_of_the_pool_and_a_channel(url: str) -> None:
    pool = Connection(url).Pool(1)
    revived: list[Any] = []

    async def count(name: str, connection: Connection, channel: Any) -> int:
        assert channel.client is connection
        return (await channel.queue_declare(name)).message_count  # type: ignore[no-any-return]

    assert await insured(pool, count, ("tasks",), {}, on_revive=revived.append) == 0
    assert revived == []
    await pool.force_close_all()


async def test_an_insured_call_is_made_again_on_a_new_link(url: str, caplog: pytest.LogCaptureFixture) -> None:
    broker = FaultyBroker(url)
    pool = Connection("a.example", transport=broker.driver).Pool(1)
    calls: list[Any] = []
    revived: list[Any] = []

    async def fail_once(connection: Connection, channel: Any) -> str:
        calls.append(channel)
        if len(calls) == 1:
            broker.cut()
            raise errors.make(errors.ConnectionLost, "gone")
        return "done"

    with caplog.at_level(logging.ERROR):
        assert await insured(pool, fail_once, (), {}, on_revive=revived.append) == "done"
    assert revived == [calls[1]]
    assert "gone" in caplog.text
    await pool.force_close_all()


async def test_a_new_channel_is_told_of(url: str) -> None:
    told: list[Any] = []
    async with Connection(url) as connection:
        channel = await connection.default_channel
        await revive_connection(connection, channel)
        await revive_connection(connection, channel, told.append)
        assert told == [channel]


# ------------------------------------------------------------------------------------------------- prefetch


class Channel:
    """Writes down the prefetch counts that are set."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    async def basic_qos(self, prefetch_count: int) -> None:
        self.counts.append(prefetch_count)


async def test_a_prefetch_count_is_set_when_it_has_changed() -> None:
    channel = Channel()
    qos = QoS(channel.basic_qos, 10)
    assert await qos.update() == 10
    assert await qos.update() == 10
    assert qos.increment_eventually() == 11
    assert qos.decrement_eventually(3) == 8
    assert channel.counts == [10]
    await qos.update()
    assert channel.counts == [10, 8]
    assert qos.prev == 8


async def test_a_prefetch_count_stays_within_its_bounds() -> None:
    qos = QoS(Channel().basic_qos, 2, max_prefetch=4)
    assert qos.increment_eventually(100) == 4
    assert qos.increment_eventually(-100) == 4
    assert qos.decrement_eventually(100) == 1


async def test_no_bound_is_neither_raised_nor_lowered() -> None:
    qos = QoS(Channel().basic_qos, None)
    assert (qos.increment_eventually(), qos.decrement_eventually()) == (0, 0)


async def test_a_count_beyond_what_amqp_can_say_is_set_to_no_bound(caplog: pytest.LogCaptureFixture) -> None:
    channel = Channel()
    with caplog.at_level(logging.WARNING):
        assert await QoS(channel.basic_qos, 1).set(65536) == 65536
    assert channel.counts == [0]
    assert "65535" in caplog.text
