"""Closing ends what was open, gives back what was not settled, and can be done again."""

from __future__ import annotations

from time import monotonic

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, in_time, linger, listen, ready, take, until
from dulse.testing.conformance.expecting import expected


@case("closing gives back what was prefetched within a second, also what nobody was handed")
async def prefetched(broker: Broker) -> None:
    async def attempt() -> float:
        queue = await broker.queue()
        await broker.send(queue, *range(50))
        connection = await broker.connection()
        listener = await listen(connection, queue, prefetch=50)
        await until(connection, lambda: len(listener.messages) == 1)
        began = monotonic()
        await connection.close()
        messages = await collect(broker.main, queue, 50)
        seconds = monotonic() - began
        assert sorted(message.payload for message in messages) == list(range(50))
        return seconds

    await in_time(1.5, attempt)


@case("a closed connection refuses work (ConnectionClosed), and can be opened again")
async def closed_connections(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection()
    channel = await connection.channel()
    await connection.close()
    assert not connection.connected
    with expected(errors.ConnectionClosed):
        await connection.channel()
    with expected(errors.ConnectionClosed):
        await connection.drain_events(timeout=1)
    with expected(errors.ChannelClosed, errors.ConnectionClosed):
        await channel.basic_get(queue.name)
    await connection.connect()
    await broker.send(queue, "message")
    assert await ready(queue.bind(connection)) == ["message"]


@case("closing a connection or a channel twice does nothing")
async def twice(broker: Broker) -> None:
    connection = await broker.connection()
    channel = await connection.channel()
    for _ in range(2):
        await channel.close()
    for _ in range(2):
        await connection.close()
    await broker.draft().close()


@case("leaving a with block closes, after an exception too")
async def with_blocks(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    with expected(ZeroDivisionError):
        async with await broker.connection() as connection:
            await take(queue.bind(connection))
            raise ZeroDivisionError
    assert not connection.connected
    (given_back,) = await collect(broker.main, queue, 1)
    assert given_back.payload == "message"


@case("what was settled before closing stays settled, up to the last moment")
async def settled_before(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(30))
    connection = await broker.connection()
    listener = await listen(connection, queue)
    await until(connection, lambda: len(listener.messages) == 30)
    for message in listener.messages[:29]:
        await message.ack()
    await connection.close()
    (given_back,) = await collect(broker.main, queue, 1)
    assert given_back.payload == 29
    assert await ready(queue) == []


@case("what was published before closing is there, without a flush")
async def published_before(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection()
    producer = connection.Producer(routing_key=queue.name)
    for number in range(50):
        await producer.publish(number)
    await connection.close()
    assert await ready(queue) == list(range(50))


@case("a closed channel refuses work (ChannelClosed); the connection's other channels go on")
async def closed_channels(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection()
    closed, other = await connection.channel(), await connection.channel()
    await closed.close()
    with expected(errors.ChannelClosed):
        await closed.queue_declare(queue.name, passive=True)
    assert (await other.queue_declare(queue.name, passive=True)).queue == queue.name


@case("closing a channel ends its consumers, and no others")
async def consumers_of_a_channel(broker: Broker) -> None:
    first, second = await broker.queue(), await broker.queue()
    connection = await broker.connection()
    ended, going = await listen(connection, first), await listen(connection, second)
    await ended.channel.close()
    await broker.send(first, "stays")
    await broker.send(second, "comes")
    await until(connection, lambda: going.messages)
    await linger(connection)
    assert (ended.payloads(), going.payloads()) == ([], ["comes"])
    assert await ready(first) == ["stays"]


@case("a cancelled consumer is given nothing more, and what it was not handed is there for others")
async def cancelled_consumers(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(20))
    connection = await broker.connection()
    listener = await listen(connection, queue)
    await until(connection, lambda: len(listener.messages) == 1)
    await listener.channel.basic_cancel(listener.tag)
    handed = len(listener.messages)
    rest = await collect(broker.main, queue, 20 - handed)
    await linger(connection)
    assert len(listener.messages) == handed
    assert sorted(message.payload for message in rest) == list(range(handed, 20))


@case("cancelling an unknown consumer is no error")
async def unknown_consumers(broker: Broker) -> None:
    channel = await broker.main.channel()
    await channel.basic_cancel("nobody")
    assert channel.is_open


@case("letting go of a link that seems broken gives back what it held; the connection opens another when it is used")
async def collecting(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    bound = queue.bind(connection)
    await take(bound)
    await connection.collect()
    assert [message.payload for message in await collect(connection, queue, 1)] == ["message"]
