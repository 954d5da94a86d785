"""What was delivered and not settled comes back, and says so."""

from __future__ import annotations

from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, linger, listen, ready, take, until


@case("closing a connection gives back what it had not settled")
async def closing_a_connection(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(5))
    connection = await broker.connection()
    listener = await listen(connection, queue)
    await until(connection, lambda: len(listener.messages) == 3)
    await listener.messages[0].ack()
    await connection.close()
    given_back = await collect(broker.main, queue, 4)
    assert sorted(message.payload for message in given_back) == [1, 2, 3, 4]
    assert await ready(queue) == []


@case("closing a channel gives back what it had not settled; other channels keep theirs")
async def closing_a_channel(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "one", "two")
    connection = await broker.connection()
    channels = [await connection.channel() for _ in range(2)]
    messages = [await take(queue.bind(channel)) for channel in channels]
    await channels[0].close()
    (given_back,) = await collect(broker.main, queue, 1)
    assert given_back.payload == "one"
    assert await ready(queue) == []
    await messages[1].ack()
    await connection.close()
    assert await ready(queue) == []


@case("a message says that it is redelivered when it was delivered before, and not when it was not")
async def the_flag(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    message = await take(queue)
    assert message.delivery_info["redelivered"] is False
    await message.requeue()
    (again,) = await collect(broker.main, queue, 1)
    assert again.delivery_info["redelivered"] is True


@case("what a closed connection gives back is marked as redelivered for the next")
async def the_flag_after_closing(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    await take(queue.bind(connection))
    await connection.close()
    message = await take(queue)
    assert message.delivery_info["redelivered"] is True
    await message.ack()


@case("recover has the channel's unsettled messages delivered again, to the same consumer too")
async def recover(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "one", "two")
    connection = await broker.connection()
    listener = await listen(connection, queue)
    await until(connection, lambda: len(listener.messages) == 2)
    await listener.messages[0].ack()
    await listener.channel.basic_recover()
    await until(connection, lambda: len(listener.messages) == 3)
    await linger(connection)
    assert listener.payloads() == ["one", "two", "two"]
    assert listener.messages[2].delivery_info["redelivered"] is True
    await listener.messages[2].ack()


@case("a message that is requeued reaches another consumer that waits for one")
async def to_another_consumer(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    message = await take(queue)
    other = await broker.connection()
    listener = await listen(other, queue)
    await linger(other)
    assert listener.messages == []
    await message.requeue()
    await until(other, lambda: len(listener.messages) == 1)
    await listener.messages[0].ack()


@case("a message keeps body, headers, properties and routing through any number of redeliveries")
async def nothing_is_lost_on_the_way(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    await broker.publish(exchange, "red", {"a": 1}, headers={"b": 2}, correlation_id="c")
    for _ in range(3):
        message = await take(queue)
        assert message.payload == {"a": 1}
        assert message.headers["b"] == 2
        assert message.properties["correlation_id"] == "c"
        assert (message.delivery_info["exchange"], message.delivery_info["routing_key"]) == (exchange.name, "red")
        await message.requeue()
    assert await ready(queue) == [{"a": 1}]


@case("what cancelling a consumer leaves unsettled stays with the channel, and can still be acknowledged")
async def cancelling_a_consumer(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    listener = await listen(connection, queue)
    await until(connection, lambda: len(listener.messages) == 1)
    await listener.channel.basic_cancel(listener.tag)
    assert await ready(queue) == []
    await listener.messages[0].ack()
    await connection.close()
    assert await ready(queue) == []
