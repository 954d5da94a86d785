"""What the broker refuses closes the channel it was asked on, by an error that says what and why."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, linger, listen, ready, take, until
from dulse.testing.conformance.expecting import expected


@case("publishing to an exchange that does not exist is refused (404), whose text names it")
async def missing_exchange(broker: Broker) -> None:
    name = broker.name("missing")
    with expected(errors.NotFound) as caught:
        await broker.publish(name, "red", "message")
    assert caught.value.code == 404
    assert name in str(caught.value)


@case("after a refusal the channel is closed; what it is asked then raises ChannelClosed")
async def the_channel_closes(broker: Broker) -> None:
    channel = await broker.main.channel()
    with expected(errors.NotFound):
        await channel.queue_declare(broker.name("missing"), passive=True)
    assert not channel.is_open
    with expected(errors.ChannelClosed):
        await channel.queue_declare(broker.name())


@case("other channels of the connection, their consumers and what they hold are not affected")
async def others_live_on(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "one")
    connection = await broker.connection()
    listener = await listen(connection, queue)
    await until(connection, lambda: len(listener.messages) == 1)
    channel = await connection.channel()
    with expected(errors.NotFound):
        await channel.queue_declare(broker.name("missing"), passive=True)
    await broker.send(queue, "two")
    await until(connection, lambda: len(listener.messages) == 2)
    for message in listener.messages:
        await message.ack()
    await connection.close()
    assert await ready(queue) == []


@case("what the closed channel had not settled goes back at once, and its consumers end")
async def goes_back(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    listener = await listen(connection, queue)
    await until(connection, lambda: listener.messages)
    with expected(errors.NotFound):
        await listener.channel.queue_declare(broker.name("missing"), passive=True)
    assert [message.payload for message in await collect(broker.main, queue, 1)] == ["message"]
    await broker.send(queue, "another")
    await linger(connection)
    assert listener.payloads() == ["message"]
    assert await ready(queue) == ["another"]


@case("a connection whose default channel was closed opens another, and goes on")
async def the_default_channel(broker: Broker) -> None:
    queue = await broker.queue()
    with expected(errors.NotFound):
        await broker.publish(broker.name("missing"), "red", "message")
    await broker.send(queue, "message")
    assert await ready(queue) == ["message"]


@case("settling on a channel that was closed is an error, and the message is another's by then")
async def late_settlements(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    message = await take(queue.bind(connection))
    channel = await connection.default_channel
    with expected(errors.NotFound):
        await channel.queue_declare(broker.name("missing"), passive=True)
    with expected(errors.ChannelClosed):
        await message.ack()
    assert [message.payload for message in await collect(broker.main, queue, 1)] == ["message"]


@case("an exchange that was deleted by another connection is missed by the next message (404)")
async def deleted_by_another(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    await broker.publish(exchange, "red", "one")
    other = await broker.connection()
    await exchange.bind(other).delete()
    with expected(errors.NotFound):
        await broker.publish(exchange, "red", "two")
    assert await ready(queue) == ["one"]
