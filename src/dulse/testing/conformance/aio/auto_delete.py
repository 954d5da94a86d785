"""Queues and exchanges that go with the last who used them."""

from __future__ import annotations

from typing import Any

from dulse import errors
from dulse.aio.entity import Exchange, Queue
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import eventually, listen
from dulse.testing.conformance.expecting import expected


async def exists(broker: Broker, entity: Queue[Any] | Exchange) -> bool:
    """Tell whether a queue or exchange is there."""
    channel = await broker.main.channel()
    try:
        if isinstance(entity, Exchange):
            await channel.exchange_declare(entity.name, passive=True)
        else:
            await channel.queue_declare(entity.name, passive=True)
    except errors.NotFound:
        return False
    await channel.close()
    return True


@case("an auto-delete queue goes when its last consumer is cancelled, and with it its messages and bindings")
async def the_last_consumer(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red", auto_delete=True)
    listener = await listen(broker.main, queue)
    await listener.channel.basic_cancel(listener.tag)
    assert not await exists(broker, queue)
    with expected(errors.Unroutable):
        await broker.publish(exchange, "red", "message", mandatory=True)


@case("an auto-delete queue stays as long as it has another consumer, on whichever connection")
async def another_consumer(broker: Broker) -> None:
    queue = await broker.queue(auto_delete=True)
    other = await broker.connection()
    first, second = await listen(broker.main, queue), await listen(other, queue)
    await first.channel.basic_cancel(first.tag)
    assert await exists(broker, queue)
    await second.channel.basic_cancel(second.tag)
    assert not await exists(broker, queue)


@case("an auto-delete queue that never had a consumer stays, though it was got from")
async def never_consumed(broker: Broker) -> None:
    queue = await broker.queue(auto_delete=True)
    await broker.send(queue, "message")
    connection = await broker.connection()
    bound = queue.bind(connection)
    assert (await bound.get(no_ack=True)) is not None
    await connection.close()
    assert await exists(broker, queue)


@case("an auto-delete queue goes when the channel, or the connection, of its last consumer closes")
async def closing(broker: Broker) -> None:
    queues = [await broker.queue(auto_delete=True) for _ in range(2)]
    connection = await broker.connection()
    first, _ = [await listen(connection, queue) for queue in queues]
    await first.channel.close()

    async def is_gone(queue: Queue[Any]) -> bool:
        return not await exists(broker, queue)

    await eventually(lambda: is_gone(queues[0]))
    assert await exists(broker, queues[1])
    await connection.close()
    await eventually(lambda: is_gone(queues[1]))


@case("an auto-delete exchange goes with its last binding, and not before")
async def the_last_binding(broker: Broker) -> None:
    exchange = await broker.exchange("direct", auto_delete=True)
    first, second = await broker.queue(exchange, "red"), await broker.queue(exchange, "red")
    await first.unbind_from(exchange, "red")
    assert await exists(broker, exchange)
    await second.unbind_from(exchange, "red")
    assert not await exists(broker, exchange)


@case("an auto-delete exchange goes when the last queue bound to it is deleted")
async def the_last_queue(broker: Broker) -> None:
    exchange = await broker.exchange("direct", auto_delete=True)
    queue = await broker.queue(exchange, "red")
    await queue.delete()
    assert not await exists(broker, exchange)


@case("an auto-delete exchange that was never bound stays")
async def never_bound(broker: Broker) -> None:
    exchange = await broker.exchange("direct", auto_delete=True)
    await broker.publish(exchange, "red", "message")
    other = await broker.connection()
    await exchange.bind(other).declare()
    await other.close()
    assert await exists(broker, exchange)


@case("an auto-delete exchange goes with its last binding to another exchange, and that goes after it")
async def exchanges_in_a_row(broker: Broker) -> None:
    source = await broker.exchange("direct", auto_delete=True)
    middle = await broker.exchange("direct", auto_delete=True)
    await middle.bind_to(source, "red")
    queue = await broker.queue(middle, "red")
    await queue.delete()
    assert not await exists(broker, middle)
    assert not await exists(broker, source)
