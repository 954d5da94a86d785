"""Binding, purging, deleting: what they do, what they answer, and what they refuse."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import listen, ready, take
from dulse.testing.conformance.expecting import expected


@case("binding a queue twice is binding it once; one unbinding ends it")
async def bound_twice(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red", "red")
    await broker.publish(exchange, "red", "one")
    await queue.unbind_from(exchange, "red")
    await broker.publish(exchange, "red", "two")
    assert await ready(queue) == ["one"]


@case("taking away a binding that is not there is no error")
async def unbinding_nothing(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    await queue.unbind_from(exchange, "blue")
    await broker.publish(exchange, "red", "message")
    assert await ready(queue) == ["message"]


@case("binding a missing queue, or to a missing exchange, is refused (404)")
async def missing_ends(broker: Broker) -> None:
    exchange, queue = await broker.exchange("direct"), await broker.queue()
    channel = await broker.main.channel()
    with expected(errors.NotFound):
        await channel.queue_bind(broker.name("missing"), exchange.name, "red")
    channel = await broker.main.channel()
    with expected(errors.NotFound):
        await channel.queue_bind(queue.name, broker.name("missing"), "red")


@case("nobody may bind to the default exchange, or declare or delete it (403)")
async def the_default_exchange(broker: Broker) -> None:
    queue = await broker.queue()
    channel = await broker.main.channel()
    with expected(errors.AccessRefused):
        await channel.queue_bind(queue.name, "", "red")
    channel = await broker.main.channel()
    with expected(errors.AccessRefused):
        await channel.exchange_delete("")
    await broker.send(queue, "message")
    assert await ready(queue) == ["message"]


@case("purging deletes what is ready, says how much, and leaves what is being worked on")
async def purging(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(5))
    connection = await broker.connection()
    await take(queue.bind(connection))
    assert await queue.purge() == 4
    assert await queue.purge() == 0
    await connection.close()
    assert await ready(queue) == [0]


@case("purging a missing queue is refused (404)")
async def purging_nothing(broker: Broker) -> None:
    channel = await broker.main.channel()
    with expected(errors.NotFound):
        await channel.queue_purge(broker.name("missing"))


@case("deleting a queue says how many messages went with it, and ends its bindings")
async def deleting(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    await broker.send(queue, *range(3))
    assert await queue.delete() == 3
    with expected(errors.NotFound):
        await queue.get()
    again = await broker.queue(name=queue.name)
    await broker.publish(exchange, "red", "message")
    assert await ready(again) == []


@case("deleting a queue or an exchange that is not there is no error")
async def deleting_nothing(broker: Broker) -> None:
    channel = await broker.main.channel()
    assert await channel.queue_delete(broker.name("missing")) == 0
    await channel.exchange_delete(broker.name("missing"))
    assert channel.is_open


@case("with if_empty a queue that holds messages is not deleted (406), and an empty one is")
async def if_empty(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    with expected(errors.PreconditionFailed):
        await queue.delete(if_empty=True)
    assert await ready(queue) == ["message"]
    await queue.delete(if_empty=True)
    with expected(errors.NotFound):
        await queue.get()


@case("with if_unused a queue that has consumers is not deleted (406), and one without is")
async def if_unused(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)
    with expected(errors.PreconditionFailed):
        await queue.delete(if_unused=True)
    await listener.channel.close()
    await queue.delete(if_unused=True)
    with expected(errors.NotFound):
        await queue.get()


@case("with if_unused an exchange that has bindings is not deleted (406), and one without is")
async def exchange_if_unused(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    with expected(errors.PreconditionFailed):
        await exchange.delete(if_unused=True)
    await broker.publish(exchange, "red", "message")
    assert await ready(queue) == ["message"]
    await queue.unbind_from(exchange, "red")
    await exchange.delete(if_unused=True)
    with expected(errors.NotFound):
        await broker.publish(exchange, "red", "message")


@case("deleting an exchange ends its bindings; declared again it has none")
async def deleting_exchanges(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    await exchange.delete()
    await broker.exchange("direct", name=exchange.name)
    await broker.publish(exchange, "red", "message")
    assert await ready(queue) == []


@case("messages that are being worked on go with their queue: settling them then changes nothing")
async def deleting_what_is_held(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "one", "two")
    connection = await broker.connection()
    message = await take(queue.bind(connection))
    await queue.delete()
    await broker.queue(name=queue.name)
    await message.requeue()
    await connection.close()
    assert await ready(queue) == []
