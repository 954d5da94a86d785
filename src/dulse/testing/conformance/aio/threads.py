"""Threads (tasks, in asyncio) may share a connection, its channels and its producers."""

from __future__ import annotations

from functools import partial
from typing import Any

from dulse import errors
from dulse.aio.message import Message
from dulse.links.waiting.aio import sleep
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import listen, ready, together, until
from dulse.testing.conformance.expecting import expected


@case("one producer publishes for several at once: nothing is lost or doubled, and each one's order is kept")
async def one_producer(broker: Broker) -> None:
    queue = await broker.queue()

    async def publish(who: int) -> None:
        for number in range(50):
            await broker.producer.publish([who, number], queue.name)

    await together(*(partial(publish, who) for who in range(4)))
    await broker.producer.flush()
    bodies = await ready(queue)
    assert len(bodies) == 200
    for who in range(4):
        assert [number for by, number in bodies if by == who] == list(range(50))


@case("several that drain one connection get every message, each once")
async def several_drain(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.producer.publish_many(range(200), routing_key=queue.name)
    connection = await broker.connection()
    channel = await connection.channel()
    await channel.basic_qos(0, 10, False)
    bodies: list[int] = []

    async def done(message: Message[Any]) -> None:
        bodies.append(message.payload)
        await message.ack()

    await channel.basic_consume(queue.name, callback=done)
    await together(*[lambda: until(connection, lambda: len(bodies) >= 200)] * 3)
    assert sorted(bodies) == list(range(200))
    await connection.close()
    assert await ready(queue) == []


@case("publishing does not wait for another's draining of the same connection")
async def publishing_while_draining(broker: Broker) -> None:
    queue, idle = await broker.queue(), await broker.queue()
    await listen(broker.main, idle)
    done: list[bool] = []

    async def publish() -> None:
        await sleep(0.1)
        for number in range(20):
            await broker.send(queue, number)
        done.append(True)

    async def drain() -> None:
        with expected(errors.DeadlineExceeded):
            await broker.main.drain_events(timeout=2)
        assert done

    await together(drain, publish)
    assert await ready(queue) == list(range(20))


@case("declaring, getting and binding do not wait for it either")
async def declaring_while_draining(broker: Broker) -> None:
    idle = await broker.queue()
    await listen(broker.main, idle)
    done: list[bool] = []

    async def work() -> None:
        await sleep(0.1)
        exchange = await broker.exchange("direct")
        queue = await broker.queue(exchange, "red")
        await broker.publish(exchange, "red", "message")
        assert await ready(queue) == ["message"]
        done.append(True)

    async def drain() -> None:
        with expected(errors.DeadlineExceeded):
            await broker.main.drain_events(timeout=2)
        assert done

    await together(drain, work)


@case("a message may be acknowledged by another than who drained it")
async def acknowledging_elsewhere(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(20))
    connection = await broker.connection()
    listener = await listen(connection, queue, prefetch=3)
    settled: list[int] = []

    async def settle() -> None:
        while len(settled) < 20:
            for message in listener.messages[len(settled) :]:
                await message.ack()
                settled.append(message.payload)
            await sleep(0.005)

    await together(settle, lambda: until(connection, lambda: len(listener.messages) == 20))
    await connection.close()
    assert settled == list(range(20))
    assert await ready(queue) == []


@case("several may open channels and declare the same at once")
async def declaring_at_once(broker: Broker) -> None:
    name, exchange = broker.name(), broker.name("exchange")
    connection = await broker.connection()

    async def declare() -> None:
        channel = await connection.channel()
        await channel.exchange_declare(exchange, "direct", durable=True)
        await channel.queue_declare(name, durable=True)
        await channel.queue_bind(name, exchange, "key")
        await channel.close()

    await together(*[declare] * 4)
    await broker.publish(exchange, "key", "message")
    queue = await broker.queue(name=name)
    assert await ready(queue) == ["message"]


@case("who waits for the first link of a connection at the same time as others shares it")
async def connecting_at_once(broker: Broker) -> None:
    queue = await broker.queue()
    connection = broker.draft()
    sessions: list[Any] = []

    async def connect() -> None:
        sessions.append(await connection.connect())

    await together(*[connect] * 4)
    assert len(set(map(id, sessions))) == 1
    await queue.bind(connection).purge()


@case("closing a connection that another drains ends the draining, by an error")
async def closing_while_draining(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection()
    await listen(connection, queue)

    async def drain() -> None:
        with expected(errors.ConnectionError, errors.ChannelClosed):
            await connection.drain_events(timeout=8)

    async def close() -> None:
        await sleep(0.2)
        await connection.close()

    await together(drain, close, seconds=5)
