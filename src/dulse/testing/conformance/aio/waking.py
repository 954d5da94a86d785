"""Who waits for a message sleeps, and wakes when there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic, process_time
from typing import Any

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.links.waiting.aio import sleep, spawn
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import in_time, keep, listen, take, together, until
from dulse.testing.conformance.expecting import expected

AT_ONCE = 0.5
"""Seconds within which a waiter must wake: much less than any pause after which it would look by itself."""

PAUSE = 0.3
"""Seconds after which something happens to who waits."""


async def woken(connection: Connection, what: Callable[[], Awaitable[Any]]) -> float:
    """Drain a connection, do something meanwhile, and give the seconds from when that was done until the drain ended.

    How long it takes to do it, which may be to wait for the disk, says nothing of how soon others are woken.
    """
    happened: list[float] = []

    async def happen() -> None:
        await sleep(PAUSE)
        await what()
        happened.append(monotonic())

    doing = spawn(happen, "what happens meanwhile")
    await connection.drain_events(timeout=10)
    ended = monotonic()
    assert await doing.join(10)
    return ended - happened[0]


@case("a message published by another connection wakes who waits for it")
async def by_another_connection(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection()
    listener = await listen(connection, queue)
    sent: list[int] = []

    async def send() -> None:
        sent.append(len(sent))
        await broker.send(queue, sent[-1])

    for _ in range(2):
        await in_time(AT_ONCE, lambda: woken(connection, send))
    assert listener.payloads() == sent


@case("so does one published by the same connection, on another thread or task")
async def by_the_same_connection(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)
    await in_time(AT_ONCE, lambda: woken(broker.main, lambda: broker.send(queue, "message")))
    assert set(listener.payloads()) == {"message"}


@case("and one published by another process", requires=("processes",))
async def by_another_process(broker: Broker) -> None:
    async def attempt() -> float:
        queue = await broker.queue()
        child = await broker.spawn("publish_when_told", queue.name)
        assert await child.hear() == "ready"
        connection = await broker.connection()
        listener = await listen(connection, queue)

        async def tell() -> None:
            child.tell("message")

        seconds = await woken(connection, tell)
        assert listener.payloads() == ["message"]
        return seconds

    await in_time(AT_ONCE, attempt)


@case("a message that another connection puts back, or gives back by closing, wakes who waits")
async def by_giving_back(broker: Broker) -> None:
    async def attempt() -> float:
        queue = await broker.queue()
        await broker.send(queue, "put back", "given back")
        holder, waiter = await broker.connection(), await broker.connection()
        bound = queue.bind(holder)
        first = await take(bound)
        await take(bound)
        listener = await listen(waiter, queue)
        seconds = [await woken(waiter, first.requeue), await woken(waiter, holder.close)]
        assert listener.payloads() == ["put back", "given back"]
        return max(seconds)

    await in_time(AT_ONCE, attempt)


@case("acknowledging makes room and wakes who waits for it, on another thread or task")
async def by_making_room(broker: Broker) -> None:
    async def attempt() -> float:
        queue = await broker.queue()
        await broker.send(queue, "one", "two")
        connection = await broker.connection()
        listener = await listen(connection, queue, prefetch=1)
        await until(connection, lambda: listener.messages)
        seconds = await woken(connection, listener.messages[0].ack)
        assert listener.payloads() == ["one", "two"]
        return seconds

    await in_time(AT_ONCE, attempt)


@case("of several queues whose consumers share the room of their channel, each wakes who waits")
async def by_any_that_share_room(broker: Broker) -> None:
    async def attempt() -> float:
        queues = [await broker.queue() for _ in range(3)]
        connection = await broker.connection()
        channel = await connection.channel()
        await channel.basic_qos(0, 2, True)
        bodies: list[Any] = []
        for queue in queues:
            await queue.bind(channel).consume(callback=keep(bodies))
        seconds = [await woken(connection, partial(broker.send, queue, queue.name)) for queue in queues[:2]]
        assert bodies == [queue.name for queue in queues[:2]]
        return max(seconds)

    await in_time(AT_ONCE, attempt)


@case("a consumer that is started while the connection is drained is served by that")
async def by_a_new_consumer(broker: Broker) -> None:
    async def attempt() -> float:
        queue, other = await broker.queue(), await broker.queue()
        await broker.send(queue, "message")
        connection = await broker.connection()
        await listen(connection, other)
        return await woken(connection, lambda: listen(connection, queue))

    await in_time(AT_ONCE, attempt)


@case("who waits on many queues is woken by any of them")
async def any_of_many(broker: Broker) -> None:
    queues: list[Queue[Any]] = [await broker.queue() for _ in range(30)]
    connection = await broker.connection()
    channel = await connection.channel()
    bodies: list[int] = []
    for queue in queues:
        await queue.bind(channel).consume(callback=keep(bodies))
    for number in (29, 0, 17):
        await in_time(
            AT_ONCE,
            lambda: woken(connection, lambda: broker.send(queues[number], number)),  # noqa: B023 - called here and now
        )
    assert list(dict.fromkeys(bodies)) == [29, 0, 17]


@case("draining ends when its time is over, and not before, with DeadlineExceeded")
async def the_time_is_over(broker: Broker) -> None:
    queue = await broker.queue()
    await listen(broker.main, queue)

    async def attempt(seconds: float) -> float:
        began = monotonic()
        with expected(errors.DeadlineExceeded) as caught:
            await broker.main.drain_events(timeout=seconds)
        assert isinstance(caught.value, TimeoutError)
        took = monotonic() - began
        assert seconds <= took
        return took - seconds

    for seconds in (0.3, 0.0):
        await in_time(AT_ONCE, partial(attempt, seconds))


@case("its time is over also while others are given all there is", slow=True)
async def others_are_busy(broker: Broker) -> None:
    queue, idle = await broker.queue(), await broker.queue()
    busy, waiter = await broker.connection(), await broker.connection()
    await listen(waiter, idle)
    working = await listen(busy, queue, no_ack=True)
    stop: list[bool] = []

    async def publish() -> None:
        while not stop:
            await broker.send(queue, "message")
            await sleep(0.01)

    async def attempt() -> float:
        began = monotonic()
        with expected(errors.DeadlineExceeded):
            await waiter.drain_events(timeout=1)
        took = monotonic() - began
        assert took >= 1
        return took - 1

    async def wait() -> None:
        try:
            await in_time(AT_ONCE, attempt)
        finally:
            stop.append(True)

    await together(publish, wait, lambda: until(busy, lambda: stop and working.messages))


@case("who waits burns no processor time to speak of", slow=True)
async def idling(broker: Broker) -> None:
    connection = await broker.connection()
    for _ in range(10):
        await listen(connection, await broker.queue())
    began = process_time()
    with expected(errors.DeadlineExceeded):
        await connection.drain_events(timeout=3)
    assert process_time() - began < 0.3
