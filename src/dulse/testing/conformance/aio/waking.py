"""Who waits for a message sleeps, and wakes when there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic, process_time
from typing import Any

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.links.waiting.aio import sleep, spawn
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import keep, listen, take, together, until
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
    for body in ("one", "two"):
        assert await woken(connection, lambda: broker.send(queue, body)) < AT_ONCE  # noqa: B023 - called here and now
    assert listener.payloads() == ["one", "two"]


@case("so does one published by the same connection, on another thread or task")
async def by_the_same_connection(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)
    assert await woken(broker.main, lambda: broker.send(queue, "message")) < AT_ONCE
    assert listener.payloads() == ["message"]


@case("and one published by another process", requires=("processes",))
async def by_another_process(broker: Broker) -> None:
    queue = await broker.queue()
    child = await broker.spawn("publish_when_told", queue.name)
    assert await child.hear() == "ready"
    connection = await broker.connection()
    listener = await listen(connection, queue)

    async def tell() -> None:
        child.tell("message")

    assert await woken(connection, tell) < AT_ONCE
    assert listener.payloads() == ["message"]


@case("a message that another connection puts back, or gives back by closing, wakes who waits")
async def by_giving_back(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "put back", "given back")
    holder, waiter = await broker.connection(), await broker.connection()
    bound = queue.bind(holder)
    first = await take(bound)
    await take(bound)
    listener = await listen(waiter, queue)
    assert await woken(waiter, first.requeue) < AT_ONCE
    assert await woken(waiter, holder.close) < AT_ONCE
    assert listener.payloads() == ["put back", "given back"]


@case("acknowledging makes room and wakes who waits for it, on another thread or task")
async def by_making_room(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "one", "two")
    connection = await broker.connection()
    listener = await listen(connection, queue, prefetch=1)
    await until(connection, lambda: listener.messages)
    assert await woken(connection, listener.messages[0].ack) < AT_ONCE
    assert listener.payloads() == ["one", "two"]


@case("a consumer that is started while the connection is drained is served by that")
async def by_a_new_consumer(broker: Broker) -> None:
    queue, other = await broker.queue(), await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    await listen(connection, other)
    assert await woken(connection, lambda: listen(connection, queue)) < AT_ONCE


@case("who waits on many queues is woken by any of them")
async def any_of_many(broker: Broker) -> None:
    queues: list[Queue[Any]] = [await broker.queue() for _ in range(30)]
    connection = await broker.connection()
    channel = await connection.channel()
    bodies: list[int] = []
    for queue in queues:
        await queue.bind(channel).consume(callback=keep(bodies))
    for number in (29, 0, 17):
        assert await woken(connection, lambda: broker.send(queues[number], number)) < AT_ONCE  # noqa: B023 - now
    assert bodies == [29, 0, 17]


@case("draining ends when its time is over, and not before, with DeadlineExceeded")
async def the_time_is_over(broker: Broker) -> None:
    queue = await broker.queue()
    await listen(broker.main, queue)
    for seconds in (0.3, 0.0):
        began = monotonic()
        with expected(errors.DeadlineExceeded) as caught:
            await broker.main.drain_events(timeout=seconds)
        assert seconds <= monotonic() - began < seconds + AT_ONCE
        assert isinstance(caught.value, TimeoutError)


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

    async def wait() -> None:
        began = monotonic()
        with expected(errors.DeadlineExceeded):
            await waiter.drain_events(timeout=1)
        assert 1 <= monotonic() - began < 1 + AT_ONCE
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
