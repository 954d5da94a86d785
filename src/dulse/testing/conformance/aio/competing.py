"""Several consumers of one queue share its messages: each goes to one of them."""

from __future__ import annotations

from typing import Any

from dulse.aio.message import Message
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, linger, listen, ready, take, together, until


@case("consumers of several connections are given every message, each once")
async def connections(broker: Broker) -> None:
    queue = await broker.queue()
    bodies: list[int] = []

    async def work() -> None:
        connection = await broker.connection()
        channel = await connection.channel()
        await channel.basic_qos(0, 5, False)

        async def done(message: Message[Any]) -> None:
            bodies.append(message.payload)
            await message.ack()

        await channel.basic_consume(queue.name, callback=done)
        await until(connection, lambda: len(bodies) >= 200)

    await broker.producer.publish_many(range(200), routing_key=queue.name)
    await broker.producer.flush()
    await together(*[work] * 3)
    assert sorted(bodies) == list(range(200))
    assert await ready(queue) == []


@case("several consumers of one connection all get their share")
async def of_one_connection(broker: Broker) -> None:
    queue = await broker.queue()
    listeners = [await listen(broker.main, queue, prefetch=10) for _ in range(3)]
    await broker.send(queue, *range(6))
    await until(broker.main, lambda: sum(len(each.messages) for each in listeners) == 6)
    assert all(each.messages for each in listeners)
    assert sorted(body for each in listeners for body in each.payloads()) == list(range(6))


@case("two consumers on one channel share too, and each is told its own tag")
async def of_one_channel(broker: Broker) -> None:
    queue = await broker.queue()
    channel = await broker.main.channel()
    await channel.basic_qos(0, 1, False)
    given: list[Message[Any]] = []
    for tag in ("one", "two"):
        await channel.basic_consume(queue.name, False, tag, given.append)
    await broker.send(queue, "a", "b", "c")
    await until(broker.main, lambda: len(given) == 2)
    await linger(broker.main)
    assert sorted(message.delivery_info["consumer_tag"] for message in given) == ["one", "two"]


@case("consumers of several processes are given every message, each once", requires=("processes",))
async def processes(broker: Broker) -> None:
    queue = await broker.queue()
    children = [await broker.spawn("work", queue.name) for _ in range(2)]
    for child in children:
        assert await child.hear() == "consuming"
    await broker.producer.publish_many(range(200), routing_key=queue.name)
    shares = [await child.hear() for child in children]
    assert sorted(body for share in shares for body in share) == list(range(200))
    assert await ready(queue) == []


@case("getting competes too: nobody gets what another has")
async def getting(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(4))
    bound = [queue.bind(await broker.connection()) for _ in range(2)]
    messages = [await take(bound[number % 2]) for number in range(4)]
    assert sorted(message.payload for message in messages) == [0, 1, 2, 3]
    assert await queue.get() is None


@case("publishers of several processes all get their messages through", requires=("processes",))
async def publishing_processes(broker: Broker) -> None:
    queue = await broker.queue()
    for child in [await broker.spawn("publish", queue.name, 100) for _ in range(2)]:
        assert await child.hear() == 100
    messages = await collect(broker.main, queue, 200)
    assert sorted(message.payload for message in messages) == sorted([*range(100)] * 2)
