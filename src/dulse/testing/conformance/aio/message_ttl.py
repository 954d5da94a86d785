"""A message that is not taken within its time to live expires."""

from __future__ import annotations

from time import monotonic

from dulse import errors
from dulse.links.waiting.aio import sleep, spawn
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, linger, listen, ready, take, until
from dulse.testing.conformance.expecting import expected

SOON = 0.3
"""Seconds to live."""
AFTER = SOON + 0.2
"""Seconds after which that is over."""


@case("messages of a queue with message_ttl expire after that, and not before")
async def of_the_queue(broker: Broker) -> None:
    short, long = await broker.queue(message_ttl=SOON), await broker.queue(message_ttl=60)
    for queue in (short, long):
        await broker.send(queue, "message")
    await sleep(AFTER)
    assert await ready(short) == []
    assert await ready(long) == ["message"]


@case("a message with an expiration expires after that, and others of its queue do not")
async def of_the_message(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "short", expiration=SOON)
    await broker.send(queue, "long", expiration=60)
    await broker.send(queue, "for ever")
    await sleep(AFTER)
    assert await ready(queue) == ["long", "for ever"]


@case("the shorter one counts where both queue and message have a time to live")
async def the_shorter_one(broker: Broker) -> None:
    short, long = await broker.queue(message_ttl=SOON), await broker.queue(message_ttl=60)
    await broker.send(short, "message", expiration=60)
    await broker.send(long, "message", expiration=SOON)
    await broker.send(long, "other", expiration=90)
    await sleep(AFTER)
    assert await ready(short) == []
    assert await ready(long) == ["other"]


@case("an expired message is never delivered to a consumer that starts late")
async def late_consumers(broker: Broker) -> None:
    queue = await broker.queue()
    for number in range(3):
        await broker.send(queue, number, expiration=SOON)
    await broker.send(queue, "alive")
    await sleep(AFTER)
    listener = await listen(broker.main, queue)
    await until(broker.main, lambda: listener.messages)
    await linger(broker.main)
    assert listener.payloads() == ["alive"]


@case("a message that is being worked on does not expire, and does when it is put back too late")
async def held_messages(broker: Broker) -> None:
    queue = await broker.queue(message_ttl=SOON)
    await broker.send(queue, "acked", "put back")
    messages = [await take(queue) for _ in range(2)]
    await sleep(AFTER)
    await messages[0].ack()
    await messages[1].requeue()
    assert await ready(queue) == []


@case("a time to live of nothing is over before a later consumer can have the message")
async def nothing(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "at once", expiration=0)
    await broker.send(queue, "message")
    assert await ready(queue) == ["message"]


@case("but a consumer that waits has it at once")
async def somebody_waits(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue)

    async def publish() -> None:
        await sleep(SOON)
        await broker.send(queue, "at once", expiration=0)

    doing = spawn(publish, "what is published meanwhile")
    await until(broker.main, listener.payloads)
    assert await doing.join(10)
    assert listener.payloads() == ["at once"]


@case("messages expire while nobody touches the queue: they are counted no more", requires=("exact depth",))
async def untouched(broker: Broker) -> None:
    queue = await broker.queue(message_ttl=SOON)
    await broker.send(queue, *range(3))
    assert (await queue.queue_declare(passive=True)).message_count == 3
    await sleep(AFTER)
    assert (await queue.queue_declare(passive=True)).message_count == 0


@case("the receiver sees the expiration in milliseconds, as text")
async def the_property(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message", expiration=90)
    message = await take(queue)
    assert message.properties["expiration"] == "90000"
    await message.ack()


@case("copies in several queues expire each in its own time")
async def each_in_its_own(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    short = await broker.queue(exchange, "key", message_ttl=SOON)
    long = await broker.queue(exchange, "key")
    await broker.publish(exchange, "key", "message")
    await sleep(AFTER)
    assert await ready(short) == []
    assert await ready(long) == ["message"]


@case("an expired message is dead-lettered when its time is over, not earlier, though nobody consumes")
async def on_time(broker: Broker) -> None:
    graves = await broker.queue()
    queue = await broker.queue(
        message_ttl=1,
        queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves.name},
    )
    began = monotonic()
    await broker.send(queue, "message")
    (dead,) = await collect(broker.main, graves, 1)
    assert dead.payload == "message"
    assert monotonic() - began >= 1


@case("a negative time to live is refused before anything is sent")
async def negative(broker: Broker) -> None:
    queue = await broker.queue()
    with expected(errors.InvalidArgument):
        await broker.send(queue, "message", expiration=-1)
    with expected(errors.InvalidArgument):
        await broker.queue(message_ttl=-1)
    assert await ready(queue) == []


@case("an expiration that is no number is refused by the broker (406)")
async def no_number(broker: Broker) -> None:
    queue = await broker.queue()
    channel = await broker.main.channel()
    with expected(errors.PreconditionFailed):
        message = channel.prepare_message("message", properties={"expiration": "soon"})
        await channel.basic_publish(message, "", queue.name)
        await channel.flush()
    assert await ready(queue) == []
