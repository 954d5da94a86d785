"""Looking at queues without touching what is in them, and moving messages."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import listen, ready, take, until
from dulse.testing.conformance.expecting import expected

PEEK = ("peek",)
COUNTED = ("peek", "delay", "counted delays")


@case("a queue's status counts what is ready, held and delayed, and its consumers", requires=COUNTED)
async def status(broker: Broker) -> None:
    queue = await broker.queue(max_length=100)
    await broker.send(queue, *range(4))
    await broker.send(queue, "later", delay=60)
    listener = await listen(broker.main, queue, prefetch=1)
    await until(broker.main, lambda: listener.messages)
    (found,) = await broker.main.manager.queues(queue.name)
    assert found.leased is not None
    assert (found.name, found.ready + found.leased, found.delayed, found.consumers) == (queue.name, 4, 1, 1)
    assert found.leased >= 1
    assert found.arguments["x-max-length"] == 100
    assert queue.name in [each.name for each in await broker.main.manager.queues()]


@case("peeking shows the messages that come next, and takes none of them", requires=PEEK)
async def peeking(broker: Broker) -> None:
    queue = await broker.queue()
    for number in range(3):
        await broker.send(queue, {"number": number}, headers={"a": number})
    for _ in range(2):
        seen = await broker.main.manager.peek(queue.name, 2)
        assert [(message.payload, message.headers["a"]) for message in seen] == [
            ({"number": 0}, 0),
            ({"number": 1}, 1),
        ]
    message = await take(queue)
    assert message.delivery_info["redelivered"] is broker.capabilities.peek_marks
    await message.ack()
    assert await ready(queue) == [{"number": 1}, {"number": 2}]


@case("moving takes the next messages to another queue, in order, with all that they carry", requires=PEEK)
async def moving(broker: Broker) -> None:
    source, destination = await broker.queue(), await broker.queue()
    for number in range(5):
        await broker.send(source, number, headers={"number": number})
    assert await broker.main.manager.move(source.name, destination.name, 3) == 3
    first = await take(destination)
    assert (first.payload, first.headers) == (0, {"number": 0})
    await first.ack()
    assert await ready(destination) == [1, 2]
    assert await ready(source) == [3, 4]


@case("looking at a queue that does not exist is refused (404)", requires=PEEK)
async def missing(broker: Broker) -> None:
    manager = broker.main.manager
    with expected(errors.NotFound):
        await manager.queues(broker.name("missing"))
    with expected(errors.NotFound):
        await manager.peek(broker.name("missing"))
    queue = await broker.queue()
    with expected(errors.NotFound):
        await manager.move(queue.name, broker.name("missing"))
