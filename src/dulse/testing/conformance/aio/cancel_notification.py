"""A consumer is told when the broker ends it."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import keep, linger, listen, until
from dulse.testing.conformance.expecting import expected


@case("a consumer is told when its queue is deleted on the same connection")
async def deleted_here(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)
    await queue.delete()
    await until(broker.main, lambda: listener.cancelled)
    assert listener.cancelled == [listener.tag]


@case("a consumer is told when another connection deletes its queue, while it waits")
async def deleted_elsewhere(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection()
    listener = await listen(connection, queue)
    await queue.delete()
    await until(connection, lambda: listener.cancelled)
    assert listener.cancelled == [listener.tag]


@case("an iteration over such a consumer ends by ConsumerCancelled, and never just waits")
async def iterating(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection()
    consumer = connection.Consumer(queue)
    await consumer.consume()
    await queue.delete()
    with expected(errors.ConsumerCancelled):
        _ = [message async for message in consumer.messages(limit=1, timeout=8)]
    assert not consumer.consuming_from(queue)


@case("consumers of other queues on the same channel go on")
async def others_go_on(broker: Broker) -> None:
    deleted, kept = await broker.queue(), await broker.queue()
    connection = await broker.connection()
    channel = await connection.channel()
    ended: list[str] = []
    bodies: list[str] = []
    for queue in (deleted, kept):
        await queue.bind(channel).consume(queue.name, keep(bodies), on_cancel=ended.append)
    await deleted.delete()
    await until(connection, lambda: ended)
    await broker.send(kept, "message")
    await until(connection, lambda: bodies)
    assert (ended, bodies) == ([deleted.name], ["message"])
    assert channel.is_open


@case("a consumer that the program cancels itself is not told")
async def cancelled_by_itself(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)
    await listener.channel.basic_cancel(listener.tag)
    await queue.delete()
    await linger(broker.main)
    assert listener.cancelled == []


@case("a consumer tag is free again when the broker has ended its consumer")
async def the_tag_is_free(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue, tag="tag")
    await queue.delete()
    await until(broker.main, lambda: listener.cancelled)
    again = await broker.queue(name=queue.name)
    another = await listen(broker.main, again, tag="tag")
    await broker.send(again, "message")
    await until(broker.main, lambda: another.messages)
