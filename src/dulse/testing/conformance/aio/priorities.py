"""A queue with priorities gives the highest first."""

from __future__ import annotations

from dulse import errors
from dulse.aio.message import Message
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, ready, take
from dulse.testing.conformance.expecting import expected

PRIORITIES = ("priorities",)


@case("messages of higher priority come first, and those of one priority in their order", requires=PRIORITIES)
async def high_first(broker: Broker) -> None:
    queue = await broker.queue(max_priority=10)
    for number, priority in enumerate((1, 5, 1, 9, 5, 0, 9)):
        await broker.send(queue, [priority, number], priority=priority)
    assert await ready(queue) == [[9, 3], [9, 6], [5, 1], [5, 4], [1, 0], [1, 2], [0, 5]]


@case("a consumer is given them in that order as well", requires=PRIORITIES)
async def for_consumers(broker: Broker) -> None:
    queue = await broker.queue(max_priority=3)
    for priority in (0, 3, 1, 2, 3):
        await broker.send(queue, priority, priority=priority)
    assert [message.payload for message in await collect(broker.main, queue, 5)] == [3, 3, 2, 1, 0]


@case("a priority above the queue's highest counts as that", requires=PRIORITIES)
async def above_the_highest(broker: Broker) -> None:
    queue = await broker.queue(max_priority=5)
    await broker.send(queue, "one", priority=5)
    await broker.send(queue, "two", priority=200)
    await broker.send(queue, "three", priority=5)
    assert await ready(queue) == ["one", "two", "three"]


@case("a message without priority has the lowest", requires=PRIORITIES)
async def none_given(broker: Broker) -> None:
    queue = await broker.queue(max_priority=5)
    channel = await broker.main.default_channel
    await channel.basic_publish(Message("none", content_type="text/plain", content_encoding="utf-8"), "", queue.name)
    await channel.flush()
    await broker.send(queue, "zero", priority=0)
    await broker.send(queue, "one", priority=1)
    assert await ready(queue) == ["one", "none", "zero"]


@case("a queue that was declared without priorities takes no notice of them")
async def a_plain_queue(broker: Broker) -> None:
    queue = await broker.queue()
    for priority in (0, 9, 1):
        await broker.send(queue, priority, priority=priority)
    assert await ready(queue) == [0, 9, 1]


@case("a message that is put back keeps its priority and its place", requires=PRIORITIES)
async def put_back(broker: Broker) -> None:
    queue = await broker.queue(max_priority=5)
    for number, priority in enumerate((3, 3, 1)):
        await broker.send(queue, [priority, number], priority=priority)
    await (await take(queue)).requeue()
    await broker.send(queue, [5, 3], priority=5)
    assert await ready(queue) == [[5, 3], [3, 0], [3, 1], [1, 2]]


@case("each queue of a route ranks a message by its own highest priority", requires=PRIORITIES)
async def each_queue_its_own(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    low = await broker.queue(exchange, "key", max_priority=2)
    high = await broker.queue(exchange, "key", max_priority=9)
    for priority in (2, 9):
        await broker.publish(exchange, "key", priority, priority=priority)
    assert await ready(low) == [2, 9]
    assert await ready(high) == [9, 2]


@case("the receiver sees the priority that was given", requires=PRIORITIES)
async def the_property(broker: Broker) -> None:
    queue = await broker.queue(max_priority=5)
    await broker.send(queue, "message", priority=200)
    message = await take(queue)
    assert message.properties["priority"] == 200
    await message.ack()


@case("a priority that is no number from 0 to 255 is refused before anything is sent")
async def out_of_range(broker: Broker) -> None:
    queue = await broker.queue()
    for priority in (-1, 256):
        with expected(errors.InvalidArgument):
            await broker.send(queue, "message", priority=priority)
    assert await ready(queue) == []


@case("a queue cannot have a priority above 255")
async def too_many_priorities(broker: Broker) -> None:
    channel = await broker.main.channel()
    with expected(errors.PreconditionFailed, errors.NotSupported):
        await channel.queue_declare(broker.name(), durable=True, arguments={"x-max-priority": 256})
