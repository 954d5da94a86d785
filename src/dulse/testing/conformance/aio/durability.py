"""What the broker has answered for survives the end of whoever sent it."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, ready


@case("a burst of messages is there though its publisher is killed right after it", requires=("processes",))
async def killed_after_a_burst(broker: Broker) -> None:
    queue = await broker.queue()
    child = await broker.spawn("publish", queue.name, 500)
    assert await child.hear() == 500
    await child.kill()
    messages = await collect(broker.main, queue, 500)
    assert sorted(message.payload for message in messages) == list(range(500))


@case(
    "whatever a publisher had an answer for is there, killed at any moment, and nothing half", requires=("processes",)
)
async def killed_at_any_moment(broker: Broker) -> None:
    queue = await broker.queue()
    child = await broker.spawn("publish_endlessly", queue.name)
    said = -1
    while said < 100:
        said = await child.hear()
    await child.kill()
    bodies = await ready(queue)
    assert bodies == list(range(len(bodies)))
    assert len(bodies) > said


@case("queues, exchanges, bindings and messages are there when all connections had been closed")
async def nobody_connected(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red", max_length=10)
    await broker.publish(exchange, "red", "one")
    await broker.main.close()
    connection = await broker.connection()
    producer = connection.Producer()
    await producer.publish("two", "red", exchange=exchange.name)
    await producer.flush()
    again = await broker.connection()
    assert [message.payload for message in await collect(again, queue, 2)] == ["one", "two"]


@case("they are there when every process had ended", requires=("processes", "outlives processes"))
async def no_process(broker: Broker) -> None:
    queue = await broker.queue()
    child = await broker.spawn("publish", queue.name, 3)
    await child.hear()
    await broker.main.close()
    await child.kill()
    looking = await broker.spawn("look_at", queue.name)
    assert await looking.hear() == {"holds": 3}
    await looking.finish()


@case("a failed publish leaves nothing behind, and the next one works")
async def failed_publishing(broker: Broker) -> None:
    queue = await broker.queue()
    for body in (object(), {"a": {1, 2}}):
        try:
            await broker.send(queue, body)
        except errors.EncodeError:
            continue
        raise AssertionError(f"{body!r} was published")
    await broker.send(queue, "message")
    assert await ready(queue) == ["message"]
