"""Where a queue has a single active consumer, one is given everything, and another takes over when that has gone."""

from __future__ import annotations

from typing import Any

from dulse import errors
from dulse.aio.entity import Queue
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import LEASE, Broker
from dulse.testing.conformance.aio.leases import BACK_WITHIN
from dulse.testing.conformance.aio.listening import linger, listen, until
from dulse.testing.conformance.expecting import expected


async def single(broker: Broker) -> Queue[Any]:
    """Declare a queue with a single active consumer."""
    return await broker.queue(queue_arguments={"x-single-active-consumer": True})


@case("the first of a queue's consumers is given everything, and the others nothing")
async def the_first(broker: Broker) -> None:
    queue = await single(broker)
    first, second = await broker.connection(), await broker.connection()
    active, waiting = await listen(first, queue), await listen(second, queue)
    await broker.send(queue, *range(4))
    await linger(second)
    await until(first, lambda: len(active.messages) == 4)
    await linger(second)
    assert (active.payloads(), waiting.payloads()) == ([0, 1, 2, 3], [])


@case("two consumers of one connection are no exception")
async def of_one_connection(broker: Broker) -> None:
    queue = await single(broker)
    active, waiting = [await listen(broker.main, queue, prefetch=1) for _ in range(2)]
    await broker.send(queue, *range(4))
    for number in range(4):
        await until(broker.main, lambda: len(active.messages) > number)  # noqa: B023 - called here and now
        await active.messages[number].ack()
    assert active.payloads() == [0, 1, 2, 3]
    assert waiting.messages == []


@case("when the active one is cancelled, the next takes over")
async def cancelled(broker: Broker) -> None:
    queue = await single(broker)
    first, second = await broker.connection(), await broker.connection()
    active, waiting = await listen(first, queue), await listen(second, queue)
    await broker.send(queue, "one")
    await until(first, lambda: active.messages)
    await active.messages[0].ack()
    await active.channel.basic_cancel(active.tag)
    await broker.send(queue, "two")
    await until(second, lambda: waiting.messages)
    assert waiting.payloads() == ["two"]


@case("when the active one's connection closes, the next takes over, and is given what that had not settled")
async def closed(broker: Broker) -> None:
    queue = await single(broker)
    first, second = await broker.connection(), await broker.connection()
    active, waiting = await listen(first, queue), await listen(second, queue)
    await broker.send(queue, "one", "two")
    await until(first, lambda: len(active.messages) == 2)
    await active.messages[0].ack()
    await first.close()
    await until(second, lambda: waiting.messages)
    assert waiting.payloads() == ["two"]


@case("when the process of the active one is killed, the next takes over", requires=("processes",), slow=True)
async def killed(broker: Broker) -> None:
    queue = await single(broker)
    child = await broker.spawn("consume", queue.name, {"queue_arguments": {"x-single-active-consumer": True}})
    assert await child.hear() == "consuming"
    connection = await broker.connection(lease=LEASE)
    waiting = await listen(connection, queue)
    await broker.send(queue, "one")
    assert await child.hear() == "one"
    await child.kill()
    await broker.send(queue, "two")
    await until(connection, lambda: waiting.messages, BACK_WITHIN)
    assert waiting.payloads() == ["two"]


@case("such a queue takes no exclusive consumer (403)")
async def no_exclusive_one(broker: Broker) -> None:
    queue = await single(broker)
    with expected(errors.AccessRefused):
        await listen(broker.main, queue, exclusive=True)
