"""How often a message was delivered is counted, and may be limited."""

from __future__ import annotations

from typing import Any

from dulse.aio.entity import Queue
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, eventually, take

QUORUM = {"x-queue-type": "quorum"}
"""The kind of queue that counts, on brokers that have several kinds."""


async def taken_again(queue: Queue[Any]) -> int:
    """Wait until the message is ready, put it back, and give how often it had been delivered."""
    counts: list[int] = []

    async def is_back() -> bool:
        message = await queue.get()
        if message is not None:
            counts.append(message.delivery_count)
            await message.requeue()
        return message is not None

    await eventually(is_back)
    return counts[0]


@case("the first delivery of a message is number 1, and each requeue makes the next one more")
async def counting(broker: Broker) -> None:
    queue = await broker.queue(queue_arguments=QUORUM)
    await broker.send(queue, "message")
    assert [await taken_again(queue) for _ in range(4)] == [1, 2, 3, 4]


@case("the count goes on where another connection closes with the message unsettled")
async def counting_across_connections(broker: Broker) -> None:
    queue = await broker.queue(queue_arguments=QUORUM)
    await broker.send(queue, "message")
    for _ in range(2):
        connection = await broker.connection()
        await take(queue.bind(connection))
        await connection.close()
    assert await taken_again(queue) == 3


@case("a message may come back x-delivery-limit times; then it goes to the dead letter exchange")
async def the_limit(broker: Broker) -> None:
    graves = await broker.queue()
    arguments = {"x-delivery-limit": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves.name}
    queue = await broker.queue(queue_arguments={**QUORUM, **arguments})
    await broker.send(queue, "message")
    assert [await taken_again(queue) for _ in range(3)] == [1, 2, 3]
    (dead,) = await collect(broker.main, graves, 1)
    assert dead.payload == "message"
    assert dead.headers["x-death"][0]["reason"] == "delivery_limit"
    assert await queue.get() is None


@case("without a dead letter exchange, a message that came back too often is dropped; others go on")
async def the_limit_without_dead_letters(broker: Broker) -> None:
    queue = await broker.queue(queue_arguments={**QUORUM, "x-delivery-limit": 1})
    await broker.send(queue, "bad")
    assert [await taken_again(queue) for _ in range(2)] == [1, 2]
    await broker.send(queue, "good")
    (message,) = await collect(broker.main, queue, 1)
    assert message.payload == "good"
