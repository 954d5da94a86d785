"""A direct exchange compares routing keys; the default exchange takes them for names of queues."""

from __future__ import annotations

from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready


@case("a message goes to every queue that is bound by its routing key, and to no other")
async def the_key_decides(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queues = [await broker.queue(exchange, key) for key in ("red", "red", "blue")]
    await broker.publish(exchange, "red", "message")
    assert [await ready(queue) for queue in queues] == [["message"], ["message"], []]


@case("a queue that is bound by several keys gets the messages of each")
async def several_keys(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red", "blue")
    await broker.publish(exchange, "red", "one")
    await broker.publish(exchange, "blue", "two")
    await broker.publish(exchange, "green", "three")
    assert await ready(queue) == ["one", "two"]


@case("keys are compared as they are: case, white space, dots and wildcards mean nothing")
async def keys_are_literal(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    keys = ["", "red", "Red", "red ", "r.d", "*", "#", "rød", "红"]
    queues = [await broker.queue(exchange, key) for key in keys]
    for key in keys:
        await broker.publish(exchange, key, key)
    assert [await ready(queue) for queue in queues] == [[key] for key in keys]


@case("a routing key may have 255 bytes of UTF-8")
async def the_longest_key(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    key = "ü" * 127 + "k"
    queue = await broker.queue(exchange, key)
    await broker.publish(exchange, key, "message")
    await broker.publish(exchange, key[:-1], "another")
    assert await ready(queue) == ["message"]


@case("a binding that is taken away is not followed any more; others of the same queue are")
async def unbinding(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red", "blue")
    await queue.unbind_from(exchange, "red")
    await broker.publish(exchange, "red", "one")
    await broker.publish(exchange, "blue", "two")
    assert await ready(queue) == ["two"]


@case("the default exchange leads to the queue whose name is the routing key, without any binding")
async def the_default_exchange(broker: Broker) -> None:
    queue, other = await broker.queue(), await broker.queue()
    await broker.publish("", queue.name, "message")
    assert await ready(queue) == ["message"]
    assert await ready(other) == []


@case("a message that no queue wants vanishes without an error, and is not there for a queue bound later")
async def nobody_wants_it(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    await broker.publish(exchange, "red", "early")
    await broker.publish("", broker.name(), "nowhere")
    queue = await broker.queue(exchange, "red")
    await broker.publish(exchange, "red", "late")
    assert await ready(queue) == ["late"]


@case("a binding made by one connection counts for the next message of any other, which had no use for it before")
async def bindings_count_at_once(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    first = await broker.queue(exchange, "red")
    other = await broker.connection()
    producer = other.Producer()
    await producer.publish("one", "red", exchange=exchange.name)
    await producer.flush()
    second = await broker.queue(exchange, "red")
    await producer.publish("two", "red", exchange=exchange.name)
    await producer.flush()
    await first.unbind_from(exchange, "red")
    await producer.publish("three", "red", exchange=exchange.name)
    await producer.flush()
    assert await ready(first) == ["one", "two"]
    assert await ready(second) == ["two", "three"]


@case("each broker has an exchange amq.direct from the start, which nobody has to declare")
async def amq_direct(broker: Broker) -> None:
    queue = await broker.queue()
    key = broker.name("key")
    await queue.bind_to("amq.direct", key)
    await broker.publish("amq.direct", key, "message")
    assert await ready(queue) == ["message"]
