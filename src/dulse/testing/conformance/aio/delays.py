"""A message with a delay is delivered when that is over."""

from __future__ import annotations

from time import monotonic

from dulse import errors
from dulse.links.waiting.aio import sleep
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, listen, ready, until
from dulse.testing.conformance.expecting import expected

DELAY = ("delay",)

LATER = 0.4
"""Seconds."""

IN_TIME = 9.0
"""Seconds by which a delayed message may be late on a busy machine."""


@case("a delayed message is not there before its time", requires=DELAY)
async def not_before(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "far away", delay=60)
    began = monotonic()
    await broker.send(queue, "delayed", delay=LATER)
    await broker.send(queue, "at once")
    came: dict[str, float] = {}
    while len(came) < 2:
        message = await queue.get(no_ack=True)
        if message is not None:
            came[message.payload] = monotonic() - began
        else:
            assert monotonic() - began < LATER + IN_TIME
            await sleep(0.01)
    assert came.keys() == {"delayed", "at once"}
    assert came["delayed"] >= LATER


@case("a consumer that waits is given it when its time has come", requires=DELAY)
async def wakes_a_consumer(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)
    publisher = await broker.connection()
    producer = publisher.Producer(routing_key=queue.name)
    began = monotonic()
    await producer.publish("delayed", delay=LATER)
    await producer.flush()
    await until(broker.main, lambda: listener.messages)
    assert LATER <= monotonic() - began <= LATER + IN_TIME
    await listener.messages[0].ack()


@case("a shorter delay overtakes a longer one", requires=DELAY)
async def overtaking(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "later", delay=2.5 * LATER)
    await broker.send(queue, "sooner", delay=LATER)
    await broker.send(queue, "now")
    assert [message.payload for message in await collect(broker.main, queue, 3)] == ["now", "sooner", "later"]


@case("a message stays delayed when its publisher has closed its connection", requires=DELAY)
async def publishers_may_go(broker: Broker) -> None:
    queue = await broker.queue()
    publisher = await broker.connection()
    began = monotonic()
    await publisher.Producer(routing_key=queue.name).publish("delayed", delay=LATER)
    await publisher.close()
    await collect(broker.main, queue, 1)
    assert monotonic() - began >= LATER


@case("the header x-delay, in milliseconds, says the same", requires=DELAY)
async def the_header(broker: Broker) -> None:
    queue = await broker.queue()
    began = monotonic()
    await broker.send(queue, "delayed", headers={"x-delay": round(LATER * 1000)})
    await collect(broker.main, queue, 1)
    assert monotonic() - began >= LATER


@case("a time to live begins when the delay is over", requires=(*DELAY, "expiring delays"))
async def time_to_live(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "delayed", delay=1.2, expiration=1)
    assert [message.payload for message in await collect(broker.main, queue, 1)] == ["delayed"]


@case("every queue of the route gets it when its time has come", requires=DELAY)
async def every_queue(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queues = [await broker.queue(exchange, "key") for _ in range(2)]
    began = monotonic()
    await broker.publish(exchange, "key", "delayed", delay=LATER)
    listeners = [await listen(broker.main, queue) for queue in queues]
    await until(broker.main, lambda: any(each.messages for each in listeners))
    assert monotonic() - began >= LATER
    await until(broker.main, lambda: all(each.messages for each in listeners))


@case("a negative delay is refused before anything is sent")
async def negative(broker: Broker) -> None:
    queue = await broker.queue()
    with expected(errors.InvalidArgument):
        await broker.send(queue, "message", delay=-1)
    assert await ready(queue) == []
