"""A queue that nobody uses for as long as it said is deleted."""

from __future__ import annotations

from time import monotonic
from typing import Any

from dulse import errors
from dulse.aio.entity import Queue
from dulse.links.waiting.aio import sleep
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import eventually, listen, ready
from dulse.testing.conformance.expecting import expected

UNUSED = 1.0
"""Seconds without use after which the queues of these cases go."""

LONGER = 1.7
"""Longer than a broker's pause between two looks at the time: what went too early shows."""

STEP = 0.25
"""Seconds between two uses: so much less that a busy machine cannot make it more."""


async def exists(broker: Broker, queue: Queue[Any]) -> bool:
    """Tell whether a queue is there, in a way that is no use of it: by publishing."""
    try:
        await broker.send(queue, "message", mandatory=True)
    except errors.Unroutable:
        return False
    return True


async def gone_after(broker: Broker, queue: Queue[Any]) -> float:
    """Wait until a queue is gone, and give for how long that took."""
    began = monotonic()

    async def is_gone() -> bool:
        return not await exists(broker, queue)

    await eventually(is_gone)
    return monotonic() - began


@case("a queue with expires is deleted when it was unused for so long, with its messages, and not before")
async def unused(broker: Broker) -> None:
    began = monotonic()
    queue = await broker.queue(expires=UNUSED)
    await broker.send(queue, "message")
    await gone_after(broker, queue)
    assert monotonic() - began >= UNUSED
    with expected(errors.NotFound):
        await queue.get()


@case("a queue is not deleted while it has a consumer, and is some time after the last one left", slow=True)
async def consumers(broker: Broker) -> None:
    queue = await broker.queue(expires=LONGER)
    listener = await listen(broker.main, queue)
    await sleep(1.5 * LONGER)
    assert await exists(broker, queue)
    began = monotonic()
    await listener.channel.close()
    await gone_after(broker, queue)
    assert monotonic() - began >= LONGER


@case("getting from a queue is using it", slow=True)
async def getting(broker: Broker) -> None:
    queue = await broker.queue(expires=UNUSED)
    for _ in range(6):
        await sleep(STEP)
        await queue.get()
    began = monotonic()
    await gone_after(broker, queue)
    assert monotonic() - began >= 0.7 * UNUSED


@case("declaring a queue again is using it", slow=True)
async def declaring(broker: Broker) -> None:
    queue = await broker.queue(expires=UNUSED)
    await broker.send(queue, "message")
    for _ in range(6):
        await sleep(STEP)
        await queue.declare()
    assert await ready(queue) == ["message"]
    await gone_after(broker, queue)


@case("publishing to a queue is not using it")
async def publishing(broker: Broker) -> None:
    queue = await broker.queue(expires=UNUSED)
    assert await gone_after(broker, queue) < 5 * UNUSED


@case("a queue that has expired may be declared again, and is empty")
async def anew(broker: Broker) -> None:
    queue = await broker.queue(expires=UNUSED)
    await broker.send(queue, "message")
    await gone_after(broker, queue)
    again = await broker.queue(name=queue.name)
    assert (await again.queue_declare(passive=True)).message_count == 0


@case("an expiry of nothing is refused")
async def nothing(broker: Broker) -> None:
    with expected(errors.InvalidArgument):
        await broker.queue(expires=0)
    channel = await broker.main.channel()
    with expected(errors.PreconditionFailed):
        await channel.queue_declare(broker.name(), durable=True, arguments={"x-expires": 0})
