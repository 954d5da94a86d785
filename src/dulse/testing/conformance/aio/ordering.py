"""First in, first out."""

from __future__ import annotations

from functools import partial

from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, listen, ready, take, together, until

ORDER = ("order",)


@case("messages of one publisher are delivered in the order in which they were published", requires=ORDER)
async def one_publisher(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(300))
    messages = await collect(broker.main, queue, 300)
    assert [message.payload for message in messages] == list(range(300))


@case("each publisher's messages keep their order where several publish at once", requires=ORDER)
async def several_publishers(broker: Broker) -> None:
    queue = await broker.queue()

    async def publish(publisher: int) -> None:
        connection = await broker.connection()
        producer = connection.Producer(routing_key=queue.name)
        for number in range(50):
            await producer.publish([publisher, number])
        await producer.flush()

    await together(*(partial(publish, publisher) for publisher in range(3)))
    bodies = await ready(queue)
    assert len(bodies) == 150
    for publisher in range(3):
        assert [number for by, number in bodies if by == publisher] == list(range(50))


@case("a message that is put back comes before those that were behind it", requires=ORDER)
async def requeued(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(4))
    await (await take(queue)).requeue()
    assert await ready(queue) == [0, 1, 2, 3]


@case("messages that are put back in any order stand in their old one", requires=ORDER)
async def requeued_in_any_order(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(6))
    messages = [await take(queue) for _ in range(4)]
    for number in (2, 0, 3, 1):
        await messages[number].requeue()
    assert await ready(queue) == [0, 1, 2, 3, 4, 5]


@case("what a closed connection gives back stands in its old order, before what came later", requires=ORDER)
async def given_back(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(8))
    connection = await broker.connection()
    listener = await listen(connection, queue, prefetch=5)
    await until(connection, lambda: len(listener.messages) == 5)
    await listener.messages[1].ack()
    await connection.close()
    assert await ready(queue) == [0, 2, 3, 4, 5, 6, 7]


@case("a queue is as orderly with a backlog as without", requires=ORDER)
async def a_backlog(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.producer.publish_many(range(2000), routing_key=queue.name)
    await broker.producer.flush()
    assert [(await take(queue)).payload for _ in range(10)] == list(range(10))
    messages = await collect(broker.main, queue, 500)
    assert [message.payload for message in messages] == list(range(10, 510))
