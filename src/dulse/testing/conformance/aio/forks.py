"""A forked child gets links of its own, and leaves the parent's alone."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from dulse.links.waiting.aio import run_blocking
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import LEASE, Broker
from dulse.testing.conformance.aio.listening import collect, eventually, linger, listen, ready, take, until
from dulse.testing.conformance.processes import await_forked, run_forked

FORK = ("fork",)
SHARED = ("fork", "processes")

BACK_WITHIN = LEASE + 4.0
"""Seconds: one more than the lease is promised, and machines are busy."""


async def in_a_child(call: Callable[[], Awaitable[object]]) -> None:
    """Fork, make a call in the child, and wait until that has ended well."""
    number = run_forked(call)
    await run_blocking(await_forked, number)


@case("a child may use the connection, channels and producers that it inherited: they open a link anew", requires=FORK)
async def inherited(broker: Broker) -> None:
    queue = await broker.queue()
    channel = await broker.main.channel()
    await broker.send(queue, "before")

    async def child() -> None:
        await queue.bind(channel).declare()
        await broker.producer.publish("from the child", queue.name)
        await broker.producer.flush()
        assert "from the child" in await ready(queue)

    await in_a_child(child)


@case("what a child publishes by an inherited producer arrives, once", requires=SHARED)
async def arrives(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "parent")

    async def child() -> None:
        await broker.send(queue, "child")

    await in_a_child(child)
    await broker.send(queue, "parent again")
    assert await ready(queue) == ["parent", "child", "parent again"]


@case("the parent's link works as before when a child has used its copy, closed it and ended", requires=FORK)
async def the_parent_goes_on(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)

    async def child() -> None:
        await broker.main.connect()
        await broker.main.close()

    await in_a_child(child)
    assert (await queue.queue_declare(passive=True)).consumer_count == 1
    await broker.send(queue, "message")
    await until(broker.main, lambda: listener.messages)
    await listener.messages[0].ack()
    assert listener.payloads() == ["message"]


@case("what the parent holds stays its own, whatever the child does and however it ends", requires=FORK)
async def the_parents_messages(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "held", "waiting")
    held = await take(queue)

    async def child() -> None:
        await broker.main.close()

    await in_a_child(child)

    async def another() -> None:
        await broker.main.connect()

    await in_a_child(another)
    assert await ready(queue) == ["waiting"]
    await held.ack()
    await broker.main.close()
    assert await ready(queue.bind(await broker.connection())) == []


@case("a child's messages are its own: it can settle what it takes, and what it does not comes back", requires=SHARED)
async def the_childs_messages(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "settled", "given back")

    async def child() -> None:
        await (await take(queue)).ack()
        await take(queue)
        await broker.main.close()

    await in_a_child(child)
    assert await ready(queue) == ["given back"]


@case("a consumer of the parent is not the child's: messages go to the parent", requires=SHARED)
async def consumers_stay(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)

    async def child() -> None:
        other = await broker.queue()
        await broker.send(queue, "message")
        await listen(broker.main, other)
        await linger(broker.main)
        assert listener.messages == []

    await in_a_child(child)
    await until(broker.main, lambda: listener.messages)
    assert listener.payloads() == ["message"]


@case("parent and child publish through copies of one producer at the same time", requires=SHARED)
async def both_publish(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, 0)

    async def child() -> None:
        for number in range(1, 51):
            await broker.producer.publish(number, queue.name)
        await broker.producer.flush()

    number = run_forked(child)
    for body in range(51, 101):
        await broker.producer.publish(body, queue.name)
    await broker.producer.flush()
    await run_blocking(await_forked, number)
    messages = await collect(broker.main, queue, 101)
    assert sorted(message.payload for message in messages) == list(range(101))


@case(
    "a child's message is its own for as long as the child lives, however short the lease is",
    requires=(*SHARED, "timed leases"),
    slow=True,
)
async def living_children(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection(lease=LEASE)
    await broker.send(queue, "message")

    async def child() -> None:
        await take(queue.bind(connection))
        await run_blocking(time.sleep, 2.25 * LEASE)

    async def is_taken() -> bool:
        return (await queue.queue_declare(passive=True)).message_count == 0

    number = run_forked(child)
    await eventually(is_taken)
    listener = await listen(connection, queue)
    await linger(connection, 1.75 * LEASE)
    assert listener.messages == []
    await run_blocking(await_forked, number)
    await until(connection, lambda: listener.messages, BACK_WITHIN)
    await listener.messages[0].ack()
