"""What child processes run in cases about several processes: each is given a Broker, its parent, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.links.waiting.aio import run_blocking, sleep
from dulse.testing.conformance.aio.broker import LEASE, Broker
from dulse.testing.conformance.aio.listening import listen, until
from dulse.testing.conformance.parent import Parent


async def drain(connection: Connection) -> None:
    """Drain a connection until this process is ended."""
    while True:
        try:
            await connection.drain_events(timeout=1)
        except errors.DeadlineExceeded:
            continue


async def hold(broker: Broker, parent: Parent, queue: str, wanted: int, acked: int = 0) -> None:
    """Take messages, acknowledge the first of them, say all, and keep the rest until this process is ended."""
    connection = await broker.connection(lease=LEASE)
    listener = await listen(connection, Queue(queue), prefetch=wanted)
    await until(connection, lambda: len(listener.messages) == wanted)
    for message in listener.messages[:acked]:
        await message.ack()
    await listener.channel.flush()
    parent.say(listener.payloads())
    await drain(connection)


async def hold_and_settle_late(broker: Broker, parent: Parent, queue: str) -> None:
    """Take a message, say it, acknowledge it when told to, say how that went, and end when told to."""
    connection = await broker.connection(lease=LEASE)
    channel = await connection.default_channel
    message = await channel.basic_get(queue)
    parent.say(message and message.payload)
    await run_blocking(parent.hear)
    try:
        await channel.basic_ack(message.delivery_tag if message else 0)
        await channel.flush()
    except errors.DulseError as failure:
        parent.say(str(failure))
    else:
        parent.say("done")
    await run_blocking(parent.hear)


async def publish(broker: Broker, parent: Parent, queue: str, number: int) -> None:
    """Publish that many numbers, say so once the broker has answered, and go on living without doing anything."""
    for body in range(number):
        await broker.producer.publish(body, queue)
    await broker.producer.flush()
    parent.say(number)
    await sleep(60)


async def publish_endlessly(broker: Broker, parent: Parent, queue: str) -> None:
    """Publish numbers from 0 on, and say each once the broker has answered for it."""
    for body in count():
        await broker.send(Queue(queue), body)
        parent.say(body)


async def publish_when_told(broker: Broker, parent: Parent, queue: str) -> None:
    """Say that this process is ready, and publish whatever it is told."""
    parent.say("ready")
    while True:
        await broker.send(Queue(queue), await run_blocking(parent.hear))


async def consume(broker: Broker, parent: Parent, queue: str, options: Mapping[str, Any]) -> None:
    """Declare a queue, consume it and say so; acknowledge, and say, each message."""
    connection = await broker.connection(lease=LEASE)
    declared: Queue[Any] = Queue(queue, **options)(connection)
    await declared.declare()

    channel = await connection.channel()

    async def done(message: Any) -> None:
        await message.ack()
        await channel.flush()
        parent.say(message.payload)

    await channel.basic_qos(0, 10, False)
    await channel.basic_consume(queue, callback=done)
    parent.say("consuming")
    await drain(connection)


async def work(broker: Broker, parent: Parent, queue: str) -> None:
    """Say that this process consumes, acknowledge messages until none came for some time, and say what they were."""
    bodies = []
    async with broker.main.Consumer(Queue(queue), prefetch_count=5, auto_declare=False) as consumer:
        parent.say("consuming")
        async for message in consumer.messages(timeout=2):
            bodies.append(message.payload)
            await message.ack()
    parent.say(bodies)


async def declare(broker: Broker, parent: Parent, queue: str, options: Mapping[str, Any]) -> None:
    """Declare a queue, say so, and live on."""
    connection = await broker.connection(lease=LEASE)
    await Queue(queue, **options)(connection).declare()
    parent.say("declared")
    await drain_nothing(connection)


async def drain_nothing(connection: Connection) -> None:
    """Keep a connection open until this process is ended."""
    await sleep(60)
    await connection.close()


async def look_at(broker: Broker, parent: Parent, queue: str) -> None:
    """Ask how many messages a queue holds, and say that or the number of the error."""
    try:
        declared = await Queue(queue)(broker.main).queue_declare(passive=True)
    except errors.ChannelError as refused:
        parent.say({"refused": refused.code})
    else:
        parent.say({"holds": declared.message_count})
