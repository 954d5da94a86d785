"""Declaring makes what is missing, and checks what is there."""

from __future__ import annotations

from typing import Any

from dulse import errors
from dulse.aio.entity import Exchange, Queue, binding
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import listen, ready
from dulse.testing.conformance.expecting import expected


@case(
    "declaring a queue again as it is gives its name and its counts of messages and consumers",
    requires=("exact depth",),
)
async def again(broker: Broker) -> None:
    queue = await broker.queue(max_length=10)
    await broker.send(queue, *range(3))
    assert tuple(await queue.queue_declare()) == (queue.name, 3, 0)
    listener = await listen(broker.main, queue, prefetch=1)
    assert (await queue.queue_declare()).consumer_count == 1
    await listener.channel.close()
    assert (await queue.queue_declare()).consumer_count == 0


@case("declaring a queue with other properties is refused (406), and changes nothing")
async def other_properties(broker: Broker) -> None:
    queue = await broker.queue(message_ttl=60)
    await broker.send(queue, "message")
    differing: list[dict[str, Any]] = [{"durable": False}, {"auto_delete": True}]
    for options in differing:
        with expected(errors.PreconditionFailed) as caught:
            await broker.queue(name=queue.name, message_ttl=60, **options)
        assert caught.value.code == 406
    assert await ready(queue) == ["message"]


@case("declaring a queue with other arguments, more of them or fewer is refused (406)")
async def other_arguments(broker: Broker) -> None:
    queue = await broker.queue(message_ttl=60, max_length=10)
    differing: list[dict[str, Any]] = [
        {"message_ttl": 61, "max_length": 10},
        {"message_ttl": 60, "max_length": 10, "expires": 60},
        {"message_ttl": 60},
        {},
    ]
    for options in differing:
        with expected(errors.PreconditionFailed):
            await broker.queue(name=queue.name, **options)
    await broker.queue(name=queue.name, message_ttl=60, max_length=10)


@case("an argument of the wrong type is refused (406)")
async def wrong_types(broker: Broker) -> None:
    channel = await broker.main.channel()
    with expected(errors.PreconditionFailed):
        await channel.queue_declare(broker.name(), durable=True, arguments={"x-message-ttl": "soon"})
    channel = await broker.main.channel()
    with expected(errors.PreconditionFailed):
        await channel.queue_declare(broker.name(), durable=True, arguments={"x-dead-letter-exchange": 7})


@case("declaring an exchange again as it is does nothing; with other properties it is refused (406)")
async def exchanges(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    await exchange.declare()
    for kind, options in (("fanout", {}), ("direct", {"durable": False}), ("direct", {"auto_delete": True})):
        with expected(errors.PreconditionFailed, errors.NotSupported):
            await broker.exchange(kind, name=exchange.name, **options)
    await broker.publish(exchange, "red", "message")
    assert await ready(queue) == ["message"]


@case("a passive declaration of what is missing is refused (404) and makes nothing")
async def passive_and_missing(broker: Broker) -> None:
    name = broker.name()
    for _ in range(2):
        channel = await broker.main.channel()
        with expected(errors.NotFound) as caught:
            await channel.queue_declare(name, passive=True)
        assert caught.value.code == 404
        assert name in str(caught.value)
        channel = await broker.main.channel()
        with expected(errors.NotFound):
            await channel.exchange_declare(name, passive=True)


@case("a passive declaration of what is there does not compare anything")
async def passive_and_there(broker: Broker) -> None:
    queue = await broker.queue(message_ttl=60)
    exchange = await broker.exchange("direct", auto_delete=True)
    channel = await broker.main.channel()
    assert (await channel.queue_declare(queue.name, passive=True, durable=False)).queue == queue.name
    await channel.exchange_declare(exchange.name, "direct", passive=True)


@case("a queue without a name gets one from the broker, each time another, and can be used by it")
async def without_a_name(broker: Broker) -> None:
    queues: list[Queue[Any]] = [Queue("", exclusive=True)(broker.main) for _ in range(2)]
    names = [await queue.declare() for queue in queues]
    assert len({*names, ""}) == 3
    await broker.publish("", names[0], "message")
    assert await ready(queues[0]) == ["message"]


@case("names that begin with amq. are the broker's: declaring one is refused (403)")
async def reserved_names(broker: Broker) -> None:
    name = f"amq.{broker.name()}"
    channel = await broker.main.channel()
    with expected(errors.AccessRefused):
        await channel.queue_declare(name, durable=True)
    channel = await broker.main.channel()
    with expected(errors.AccessRefused):
        await channel.exchange_declare(name, "direct", durable=True)


@case("an exchange type that does not exist is refused")
async def unknown_type(broker: Broker) -> None:
    connection = await broker.connection()
    channel = await connection.channel()
    with expected(errors.CommandInvalid, errors.PreconditionFailed):
        await channel.exchange_declare(broker.name(), "no-such-type", durable=True)


@case("names may hold any character, up to 255 bytes of UTF-8")
async def names(broker: Broker) -> None:
    for what in ("white space & punctuation: /?#*.%\\\"'", "ünï·日本 🐇", "x" * 200):
        name = broker.name(what)
        name = broker.adopt(name + "é" * ((255 - len(name.encode())) // 2))
        exchange = await broker.exchange("direct", name=name)
        queue = await broker.queue(exchange, name, name=name)
        await broker.publish(exchange, name, "routed")
        await broker.send(queue, "sent")
        assert await ready(queue) == ["routed", "sent"]


@case("names and keys of more than 255 bytes are refused before anything is sent")
async def names_too_long(broker: Broker) -> None:
    channel = await broker.main.channel()
    name = "é" * 128
    with expected(errors.InvalidArgument):
        await channel.queue_declare(name)
    with expected(errors.InvalidArgument):
        await channel.exchange_declare(name, "direct")
    with expected(errors.InvalidArgument):
        await broker.publish("", name, "message")
    assert channel.is_open


@case("declaring a queue declares its exchange and binds it, by each of its bindings")
async def with_its_bindings(broker: Broker) -> None:
    one, two = Exchange(broker.name("exchange")), Exchange(broker.name("exchange"), "direct")
    queue: Queue[Any] = Queue(broker.name(), bindings=[binding(one, "red"), binding(two, "blue")])
    bound = queue(broker.main)
    await bound.declare()
    await broker.publish(one.name, "red", 1)
    await broker.publish(two.name, "blue", 2)
    await broker.publish(two.name, "red", 3)
    assert await ready(bound) == [1, 2]


@case("on_declared is told name and counts")
async def on_declared(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    told: list[tuple[Any, ...]] = []
    same: Queue[Any] = Queue(queue.name, on_declared=lambda *given: told.append(given))
    await same(broker.main).declare()
    assert told == [(queue.name, 1, 0)]


@case("a producer declares its exchange, and the entities it is given, before it publishes")
async def by_a_producer(broker: Broker) -> None:
    exchange = Exchange(broker.name("exchange"), "direct")
    queue: Queue[Any] = Queue(broker.name(), exchange, "red")
    producer = broker.main.Producer(exchange=exchange)
    await producer.publish("lost", "red")
    await producer.publish("message", "red", declare=[queue])
    await producer.flush()
    assert await ready(queue(broker.main)) == ["message"]


@case("a consumer declares its queues with their exchanges, and delivers what is published from then on")
async def by_a_consumer(broker: Broker) -> None:
    exchange = Exchange(broker.name("exchange"), "direct")
    queue: Queue[Any] = Queue(broker.name(), exchange, "red")
    consumer = broker.main.Consumer(queue)
    await consumer.consume()
    await broker.publish(exchange.name, "red", "message")
    bodies = [message.payload async for message in consumer.messages(limit=1, timeout=10)]
    assert bodies == ["message"]
    await consumer.cancel()


@case("two connections that declare the same at the same time both succeed")
async def at_the_same_time(broker: Broker) -> None:
    name, other = broker.name(), broker.name()
    connections = [await broker.connection() for _ in range(2)]
    for connection in connections:
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True)
        await channel.exchange_declare(other, "direct", durable=True)
        await channel.queue_bind(name, other, "key")
    await broker.publish(other, "key", "message")
    assert await ready(Queue(name)(broker.main)) == ["message"]
