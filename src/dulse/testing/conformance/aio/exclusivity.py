"""Exclusive queues belong to one connection, exclusive consumers have a queue to themselves."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import eventually, listen, ready, until
from dulse.testing.conformance.expecting import expected


@case("another connection may not get from, consume, purge, bind, declare or delete an exclusive queue (405)")
async def locked_for_others(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exclusive=True)
    await broker.send(queue, "message")
    other = await broker.connection()
    bound = queue.bind(other)
    with expected(errors.ResourceLocked) as caught:
        await bound.get()
    assert caught.value.code == 405
    with expected(errors.ResourceLocked):
        await listen(other, queue)
    with expected(errors.ResourceLocked):
        await bound.purge()
    with expected(errors.ResourceLocked):
        await bound.bind_to(exchange, "key")
    with expected(errors.ResourceLocked):
        await bound.declare()
    with expected(errors.ResourceLocked):
        await bound.queue_declare(passive=True)
    with expected(errors.ResourceLocked):
        await bound.delete()
    assert await ready(queue) == ["message"]


@case("another connection may publish into an exclusive queue")
async def others_may_publish(broker: Broker) -> None:
    queue = await broker.queue(exclusive=True)
    other = await broker.connection()
    producer = other.Producer(routing_key=queue.name)
    await producer.publish("message", mandatory=True)
    await producer.flush()
    assert await ready(queue) == ["message"]


@case("all channels of its connection may use an exclusive queue")
async def all_channels(broker: Broker) -> None:
    queue = await broker.queue(exclusive=True)
    await broker.send(queue, "message")
    channel = await broker.main.channel()
    assert await ready(queue.bind(channel)) == ["message"]


@case("an exclusive queue goes with its connection, whether or not anybody consumed it")
async def goes_with_its_connection(broker: Broker) -> None:
    connection = await broker.connection()
    queue = (await broker.queue(name=broker.name())).bind(connection)
    queue.name = broker.name()
    queue.exclusive = True
    await queue.declare()
    await connection.close()
    with expected(errors.NotFound):
        await queue.bind(broker.main).queue_declare(passive=True)


@case("the name of an exclusive queue is free when its connection has closed")
async def the_name_is_free(broker: Broker) -> None:
    name = broker.name()
    connection = await broker.connection()
    channel = await connection.channel()
    await channel.queue_declare(name, exclusive=True)
    await connection.close()
    queue = await broker.queue(name=name)
    await broker.send(queue, "message")
    assert await ready(queue) == ["message"]


@case("a queue that is there already cannot be declared as exclusive (405)")
async def too_late(broker: Broker) -> None:
    queue = await broker.queue()
    channel = await broker.main.channel()
    with expected(errors.ResourceLocked):
        await channel.queue_declare(queue.name, durable=True, exclusive=True)


@case("an exclusive queue is locked for other processes as well", requires=("processes",))
async def other_processes(broker: Broker) -> None:
    queue = await broker.queue(exclusive=True)
    child = await broker.spawn("look_at", queue.name)
    assert await child.hear() == {"refused": 405}
    await child.finish()


@case("a queue with an exclusive consumer takes no other (403)")
async def exclusive_consumer(broker: Broker) -> None:
    queue = await broker.queue()
    await listen(broker.main, queue, exclusive=True)
    other = await broker.connection()
    for connection in (broker.main, other):
        with expected(errors.AccessRefused):
            await listen(connection, queue)


@case("a queue that has consumers takes no exclusive one (403)")
async def not_alone(broker: Broker) -> None:
    queue = await broker.queue()
    await listen(broker.main, queue)
    other = await broker.connection()
    with expected(errors.AccessRefused):
        await listen(other, queue, exclusive=True)


@case("when the exclusive consumer has gone, others may come")
async def others_may_come(broker: Broker) -> None:
    queue = await broker.queue()
    exclusive = await listen(broker.main, queue, exclusive=True)
    await exclusive.channel.basic_cancel(exclusive.tag)
    other = await broker.connection()
    listener = await listen(other, queue)
    await broker.send(queue, "message")
    await until(other, lambda: listener.messages)


@case("an exclusive consumer's closed connection lets others come too")
async def closed_connections(broker: Broker) -> None:
    queue = await broker.queue()
    connection = await broker.connection()
    await listen(connection, queue, exclusive=True)
    await connection.close()

    async def may_consume() -> bool:
        try:
            await listen(broker.main, queue, exclusive=True)
        except errors.AccessRefused:
            return False
        return True

    await eventually(may_consume)
