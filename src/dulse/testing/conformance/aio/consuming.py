"""Consumers: callbacks, iteration, what they accept, and what they can be told while they work."""

from __future__ import annotations

from typing import Any

from dulse import errors
from dulse.aio.entity import Queue
from dulse.aio.message import Message
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, linger, listen, ready, take, until
from dulse.testing.conformance.expecting import expected

GARBAGE = {"content_type": "application/json", "content_encoding": "utf-8"}


@case("each callback is given the payload and the message, in the order of their registration")
async def callbacks(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, {"a": 1})
    given: list[Any] = []

    async def acknowledge(body: Any, message: Message[Any]) -> None:
        given.append(body)
        await message.ack()

    consumer = broker.main.Consumer(queue, callbacks=[lambda body, message: given.append((body, message.payload))])
    consumer.register_callback(acknowledge)
    async with consumer:
        await until(broker.main, lambda: len(given) == 2)
    assert given == [({"a": 1}, {"a": 1}), {"a": 1}]
    assert await ready(queue) == []


@case("an exception of a callback comes out of drain_events, and the message stays to be settled")
async def failing_callbacks(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    messages: list[Message[Any]] = []

    def fail(_body: Any, message: Message[Any]) -> None:
        messages.append(message)
        raise ZeroDivisionError

    async with connection.Consumer(queue, callbacks=[fail]):
        with expected(ZeroDivisionError):
            await connection.drain_events(timeout=5)
        assert await queue.get() is None
        await messages[0].requeue()
    assert await ready(queue) == ["message"]


@case("iterating gives the messages one by one, and what was not given out goes back")
async def iterating(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(10))
    connection = await broker.connection()
    bodies = []
    async with connection.Consumer(queue) as consumer:
        async for message in consumer:
            bodies.append(message.payload)
            await message.ack()
            if len(bodies) == 4:
                break
    assert bodies == [0, 1, 2, 3]
    rest = await collect(broker.main, queue, 6)
    assert sorted(message.payload for message in rest) == [4, 5, 6, 7, 8, 9]


@case("one consumer may have several queues, more of them later, and give one up")
async def several_queues(broker: Broker) -> None:
    queues = [await broker.queue() for _ in range(3)]
    bodies: list[str] = []
    consumer = broker.main.Consumer(queues[:2], callbacks=[lambda body, _message: bodies.append(body)], no_ack=True)
    await consumer.consume()
    await consumer.add_queue(queues[2])
    await consumer.consume()
    for number, queue in enumerate(queues):
        await broker.send(queue, f"message {number}")
    await until(broker.main, lambda: len(bodies) == 3)
    assert sorted(bodies) == ["message 0", "message 1", "message 2"]
    await consumer.cancel_by_queue(queues[0])
    assert [consumer.consuming_from(queue) for queue in queues] == [False, True, True]
    await broker.send(queues[0], "stays")
    await broker.send(queues[1], "comes")
    await until(broker.main, lambda: len(bodies) == 4)
    await linger(broker.main)
    assert bodies[3:] == ["comes"]
    await consumer.cancel()
    assert await ready(queues[0]) == ["stays"]


@case("no queue of a consumer is neglected for another that has a backlog")
async def fair_to_queues(broker: Broker) -> None:
    full, other = await broker.queue(), await broker.queue()
    await broker.producer.publish_many([full.name] * 300, routing_key=full.name)
    await broker.send(other, other.name)
    connection = await broker.connection()
    seen: list[str] = []

    async def done(body: str, message: Message[Any]) -> None:
        seen.append(body)
        await message.ack()

    async with connection.Consumer([full, other], callbacks=[done], prefetch_count=10):
        await until(connection, lambda: other.name in seen)
        assert len(seen) < 250


@case("flow(False) pauses what a channel is given, flow(True) goes on, and nothing is lost")
async def flow(broker: Broker) -> None:
    queue, elsewhere = await broker.queue(), await broker.queue()
    connection = await broker.connection()
    listener, other = await listen(connection, queue), await listen(connection, elsewhere)
    await broker.send(queue, *range(3))
    await until(connection, lambda: listener.messages)
    await listener.channel.flow(False)
    await broker.send(queue, 3)
    await broker.send(elsewhere, "message")
    await until(connection, lambda: other.messages)
    await linger(connection)
    assert listener.payloads() == [0]
    await listener.channel.flow(True)
    await until(connection, lambda: len(listener.messages) == 4)
    assert listener.payloads() == [0, 1, 2, 3]


@case("a message whose content type is not accepted goes to on_decode_error, and the consumer lives on")
async def not_accepted(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, b"<a/>", content_type="application/xml", content_encoding="binary")
    await broker.send(queue, {"a": 1})
    failures: list[Exception] = []
    bodies: list[Any] = []

    async def reject(message: Message[Any], failure: Exception) -> None:
        failures.append(failure)
        await message.reject()

    async def done(body: Any, message: Message[Any]) -> None:
        bodies.append(body)
        await message.ack()

    async with broker.main.Consumer(queue, callbacks=[done], on_decode_error=reject, accept=["json"]):
        await until(broker.main, lambda: bodies)
    assert bodies == [{"a": 1}]
    assert isinstance(failures[0], errors.ContentDisallowed)
    assert await ready(queue) == []


@case("a body that cannot be decoded may be rejected to a dead letter queue, where it is as it came")
async def undecodable(broker: Broker) -> None:
    graves = await broker.queue()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves.name}
    queue = await broker.queue(queue_arguments=arguments)
    await broker.send(queue, b"{not json", **GARBAGE)

    async def reject(message: Message[Any], failure: Exception) -> None:
        assert isinstance(failure, errors.DecodeError)
        await message.reject()

    connection = await broker.connection()
    async with connection.Consumer(queue, callbacks=[lambda *_given: None], on_decode_error=reject):
        await connection.drain_events(timeout=5)
    (dead,) = await collect(broker.main, graves, 1)
    assert dead.body == b"{not json"
    with expected(errors.DecodeError):
        dead.decode()


@case("without on_decode_error the error comes out of drain_events, and the message stays to be settled")
async def undecodable_raises(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, b"{not json", **GARBAGE)
    connection = await broker.connection()
    async with connection.Consumer(queue, callbacks=[lambda *_given: None]):
        with expected(errors.DecodeError):
            await connection.drain_events(timeout=5)
    await connection.close()
    message = await take(queue)
    assert message.body == b"{not json"
    await message.ack()


@case("a consumer tag that is in use on its channel is refused")
async def tags_in_use(broker: Broker) -> None:
    queue, other = await broker.queue(), await broker.queue()
    connection = await broker.connection()
    channel = await connection.channel()
    await queue.bind(channel).consume("tag", print)
    with expected(errors.NotAllowed):
        await other.bind(channel).consume("tag", print)


@case("a consumer is told its tag, and so is each of its messages")
async def tags(broker: Broker) -> None:
    queue = await broker.queue()
    listener = await listen(broker.main, queue, tag="my tag")
    assert listener.tag == "my tag"
    unnamed = await listen(broker.main, await broker.queue())
    assert unnamed.tag not in {"", "my tag"}
    await broker.send(queue, "message")
    await until(broker.main, lambda: listener.messages)
    assert listener.messages[0].delivery_info["consumer_tag"] == "my tag"


@case("a consumer can be declared, purged and recovered by all of its queues at once")
async def by_all_queues(broker: Broker) -> None:
    queues: list[Queue[Any]] = [Queue(broker.name()) for _ in range(2)]
    connection = await broker.connection()
    consumer = connection.Consumer(queues, auto_declare=False, callbacks=[lambda *_given: None])
    await consumer.declare()
    for queue in queues:
        await broker.send(queue, "one", "two")
    assert await consumer.purge() == 4
    assert [await ready(queue.bind(broker.main)) for queue in queues] == [[], []]


@case("consuming, getting from or passively declaring a queue that does not exist is refused (404)")
async def missing_queues(broker: Broker) -> None:
    queue: Queue[Any] = Queue(broker.name("missing"))(broker.main)
    with expected(errors.NotFound) as caught:
        await listen(broker.main, queue)
    assert caught.value.code == 404
    with expected(errors.NotFound):
        await queue.get()
    with expected(errors.NotFound):
        await queue.queue_declare(passive=True)
    known = await broker.queue()
    assert await known.get() is None
    await known.bind(await broker.connection()).delete()
    with expected(errors.NotFound):
        await known.get()
