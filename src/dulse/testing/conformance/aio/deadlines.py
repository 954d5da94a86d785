"""No call waits for longer than it was told."""

from __future__ import annotations

from time import monotonic
from typing import Any

from dulse import errors
from dulse.aio.simple import SimpleQueue
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import in_time, listen, ready, together
from dulse.testing.conformance.expecting import expected

LATE = 0.8
"""Seconds by which a call may be late in one of several attempts: less than any pause of a transport's own."""
SLACK = 8.0
"""Seconds by which a call may be late where a fault would have it wait for ever."""


@case("a timeout of 0 looks once: it hands over a message that is there, and never waits")
async def looking_once(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)

    async def attempt() -> float:
        began = monotonic()
        with expected(errors.DeadlineExceeded):
            await broker.main.drain_events(timeout=0)
        return monotonic() - began

    await in_time(LATE, attempt)
    began = monotonic()
    await broker.send(queue, "message")
    while not listener.messages:
        try:
            await broker.main.drain_events(timeout=0)
        except errors.DeadlineExceeded:
            assert monotonic() - began < SLACK
    assert listener.payloads() == ["message"]


@case("a negative timeout is refused, and takes nothing")
async def negative(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    listener = await listen(broker.main, queue)
    with expected(errors.InvalidArgument):
        await broker.main.drain_events(timeout=-1)
    assert listener.messages == []
    await listener.channel.close()
    assert await ready(queue) == ["message"]


@case("drain_events hands over one message at most, and leaves the others for the next")
async def one_at_a_time(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(3))
    listener = await listen(broker.main, queue)
    for number in range(3):
        await broker.main.drain_events(timeout=5)
        assert listener.payloads() == list(range(number + 1))


@case("an iteration with a timeout ends when no message came for so long")
async def iterating(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "one", "two")
    consumer = broker.main.Consumer(queue)
    bodies = []
    began = monotonic()
    async for message in consumer.messages(timeout=0.4):
        bodies.append(message.payload)
        await message.ack()
    assert bodies == ["one", "two"]
    assert 0.4 <= monotonic() - began < 0.4 + SLACK
    await consumer.cancel()


@case("SimpleQueue.get raises Empty when its time is over, and not before")
async def simple_get(broker: Broker) -> None:
    name = broker.name()
    async with SimpleQueue(broker.main, name) as queue:

        async def attempt() -> float:
            began = monotonic()
            with expected(queue.Empty):
                await queue.get(timeout=0.3)
            took = monotonic() - began
            assert took >= 0.3
            return took

        await in_time(0.3 + LATE, attempt)


@case("publishing, declaring and flushing take a limit of time, and keep it")
async def publishing(broker: Broker) -> None:
    queue = await broker.queue()
    channel = await broker.main.channel()
    began = monotonic()
    await broker.producer.publish("message", queue.name, timeout=5)
    await broker.producer.flush(timeout=5)
    await channel.flush(timeout=5)
    assert monotonic() - began < 5
    assert await ready(queue) == ["message"]


@case("a pool that has nothing to give raises LimitExceeded when the time is over, and gives what comes back before")
async def pools(broker: Broker) -> None:
    pool = broker.draft().Pool(limit=1)
    connection = await pool.acquire(block=True, timeout=5)
    began = monotonic()
    with expected(errors.LimitExceeded):
        await pool.acquire(block=True, timeout=0.3)
    assert 0.3 <= monotonic() - began < 0.3 + SLACK
    got: list[Any] = []

    async def wait() -> None:
        got.append(await pool.acquire(block=True, timeout=5))

    await together(wait, connection.release)
    assert got == [connection]
    await connection.release()
    await pool.force_close_all()


@case("an operation that is to be tried again is given up when its time is over")
async def retrying(broker: Broker) -> None:
    calls: list[float] = []

    def fail() -> None:
        calls.append(monotonic())
        raise errors.make(errors.Blocked, "the broker takes nothing")

    ensured = broker.main.ensure(broker.producer, fail, interval_start=0.1, interval_step=0, timeout=0.5)

    async def attempt() -> float:
        began = monotonic()
        with expected(errors.Blocked):
            await ensured()
        return monotonic() - began

    await in_time(0.5 + LATE, attempt)
    assert len(calls) > 1
