"""What an exchange cannot route goes to the alternate exchange that it names."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready, take
from dulse.testing.conformance.expecting import expected


@case("a message that nothing matches goes to the alternate exchange, with its own routing key")
async def unroutable(broker: Broker) -> None:
    alternate = await broker.exchange("direct")
    exchange = await broker.exchange("direct", alternate_exchange=alternate)
    queue = await broker.queue(alternate, "red")
    await broker.publish(exchange, "red", "message")
    message = await take(queue)
    assert message.payload == "message"
    assert message.delivery_info["routing_key"] == "red"
    assert message.delivery_info["exchange"] == exchange.name
    await message.ack()


@case("a message that is routed does not go there")
async def routable(broker: Broker) -> None:
    alternate = await broker.exchange("direct")
    exchange = await broker.exchange("direct", alternate_exchange=alternate)
    queue, spare = await broker.queue(exchange, "red"), await broker.queue(alternate, "red")
    await broker.publish(exchange, "red", "message")
    assert await ready(queue) == ["message"]
    assert await ready(spare) == []


@case("an alternate exchange may have one itself")
async def chains(broker: Broker) -> None:
    last = await broker.exchange("direct")
    middle = await broker.exchange("direct", alternate_exchange=last)
    first = await broker.exchange("direct", alternate_exchange=middle)
    queue = await broker.queue(last, "red")
    await broker.publish(first, "red", "message")
    assert await ready(queue) == ["message"]


@case("alternate exchanges that name each other do not go round for ever: the message is dropped")
async def circles(broker: Broker) -> None:
    names = [broker.name("exchange") for _ in range(2)]
    first = await broker.exchange("direct", name=names[0], alternate_exchange=names[1])
    await broker.exchange("direct", name=names[1], alternate_exchange=names[0])
    await broker.publish(first, "red", "message")
    with expected(errors.Unroutable):
        await broker.publish(first, "red", "message", mandatory=True)


@case("a mandatory message that the alternate exchange routes is not returned")
async def mandatory(broker: Broker) -> None:
    alternate = await broker.exchange("direct")
    exchange = await broker.exchange("direct", alternate_exchange=alternate)
    queue = await broker.queue(alternate, "red")
    await broker.publish(exchange, "red", "message", mandatory=True)
    assert await ready(queue) == ["message"]
    with expected(errors.Unroutable):
        await broker.publish(exchange, "blue", "message", mandatory=True)


@case("an alternate exchange that does not exist is as none: the message is dropped, or returned if mandatory")
async def missing(broker: Broker) -> None:
    exchange = await broker.exchange("direct", alternate_exchange=broker.name("missing"))
    await broker.publish(exchange, "red", "message")
    with expected(errors.Unroutable):
        await broker.publish(exchange, "red", "message", mandatory=True)


@case("an exchange that is declared again with another alternate exchange is refused (406)")
async def declared_differently(broker: Broker) -> None:
    exchange = await broker.exchange("direct", alternate_exchange="one")
    with expected(errors.PreconditionFailed):
        await broker.exchange("direct", name=exchange.name, alternate_exchange="two")
