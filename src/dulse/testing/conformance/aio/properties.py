"""The properties of a message, and what its receiver is told of its way."""

from __future__ import annotations

from datetime import UTC, datetime

from dulse.aio.entity import Exchange
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import take


@case("AMQP's properties arrive as they were given, and those that were not given are absent")
async def as_given(broker: Broker) -> None:
    queue = await broker.queue()
    given = {"correlation_id": "c", "reply_to": "r", "message_id": "m", "type": "t", "app_id": "a"}
    await broker.send(queue, "message", **given)
    message = await take(queue)
    assert {name: message.properties.get(name) for name in given} == given
    assert not {"expiration", "timestamp", "user_id", "cluster_id"} & message.properties.keys()
    await message.ack()


@case("a timestamp arrives as a time in UTC, to the second, whether a time or a number was given")
async def timestamp(broker: Broker) -> None:
    queue = await broker.queue()
    noon = datetime(2026, 1, 2, 12, 0, 0, 500_000, tzinfo=UTC)
    for given in (noon, noon.replace(tzinfo=None), noon.timestamp()):
        await broker.send(queue, "message", timestamp=given)
        message = await take(queue)
        assert message.properties["timestamp"] == noon.replace(microsecond=0)
        await message.ack()


@case("messages are persistent unless producer or exchange say otherwise")
async def delivery_mode(broker: Broker) -> None:
    queue = await broker.queue()
    transient = Exchange(broker.name("exchange"), "direct", delivery_mode="transient")(broker.main)
    await transient.declare()
    await queue.bind_to(transient, "key")
    await broker.send(queue, "default")
    await broker.send(queue, "of the call", delivery_mode=1)
    await broker.publish(transient, "key", "of the exchange")
    await broker.publish(transient, "key", "of the call", delivery_mode="persistent")
    modes = []
    for _ in range(4):
        message = await take(queue)
        modes.append(message.properties["delivery_mode"])
        await message.ack()
    assert modes == [2, 1, 1, 2]


@case("the receiver is told exchange and routing key, and content type and encoding")
async def delivery_info(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    await broker.publish(exchange, "red", {"a": 1})
    message = await take(queue)
    info = message.delivery_info
    assert (info["exchange"], info["routing_key"], info["redelivered"]) == (exchange.name, "red", False)
    assert info["delivery_tag"] == message.delivery_tag
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    await message.ack()


@case("reply_to may be a queue, whose name the receiver sees and can answer to")
async def reply_to(broker: Broker) -> None:
    requests, replies = await broker.queue(), await broker.queue()
    await broker.send(requests, "request", reply_to=replies, correlation_id="1")
    request = await take(requests)
    await broker.publish(
        "", request.properties["reply_to"], "reply", correlation_id=request.properties["correlation_id"]
    )
    reply = await take(replies)
    assert (reply.payload, reply.properties["correlation_id"]) == ("reply", "1")
    await request.ack()
    await reply.ack()


@case("messages of different properties do not get each other's")
async def not_mixed_up(broker: Broker) -> None:
    queue = await broker.queue()
    for number in range(8):
        headers = {"number": number} if number % 2 else None
        await broker.send(queue, str(number), correlation_id=str(number) if number % 4 > 1 else None, headers=headers)
    for number in range(8):
        message = await take(queue)
        assert message.payload == str(number)
        assert message.properties.get("correlation_id") == (str(number) if number % 4 > 1 else None)
        assert message.headers == ({"number": number} if number % 2 else {})
        await message.ack()
