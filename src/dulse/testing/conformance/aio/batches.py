"""Many messages in few steps."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready, take
from dulse.testing.conformance.expecting import expected


@case("publish_many publishes all payloads in order and gives their number")
async def many(broker: Broker) -> None:
    queue = await broker.queue()
    published = await broker.producer.publish_many(
        ({"number": number} for number in range(500)), max_size=128, routing_key=queue.name
    )
    await broker.producer.flush()
    assert published == 500
    assert [body["number"] for body in await ready(queue)] == list(range(500))


@case("each payload may have options of its own")
async def own_options(broker: Broker) -> None:
    one, two = await broker.queue(), await broker.queue()
    await broker.producer.publish_many(
        ["plain", ("elsewhere", {"routing_key": two.name, "headers": {"a": 1}})], routing_key=one.name
    )
    await broker.producer.flush()
    assert await ready(one) == ["plain"]
    message = await take(two)
    assert (message.payload, message.headers) == ("elsewhere", {"a": 1})
    await message.ack()


@case("what is published inside a batch goes out at its end, or when it is flushed")
async def at_the_end(broker: Broker) -> None:
    queue = await broker.queue()
    async with broker.producer.batch() as batch:
        for number in range(3):
            await broker.producer.publish(number, queue.name)
        assert await queue.get() is None
        await batch.flush()
        await broker.producer.publish(3, queue.name)
    await broker.producer.flush()
    assert await ready(queue) == [0, 1, 2, 3]


@case("a batch that is left by an exception drops what was not out yet")
async def left_by_an_exception(broker: Broker) -> None:
    queue = await broker.queue()
    with expected(ZeroDivisionError):
        async with broker.producer.batch():
            await broker.producer.publish("dropped", queue.name)
            raise ZeroDivisionError
    await broker.send(queue, "next")
    assert await ready(queue) == ["next"]


@case("a mandatory message in a batch comes back, and those around it arrive")
async def mandatory(broker: Broker) -> None:
    queue = await broker.queue()
    returned: list[object] = []
    producer = broker.main.Producer(on_return=lambda *given: returned.append(given[3].payload))
    bodies = ["one", ("two", {"routing_key": broker.name("missing")}), "three"]
    await producer.publish_many(bodies, routing_key=queue.name, mandatory=True)
    await producer.flush()
    assert returned == ["two"]
    assert await ready(queue) == ["one", "three"]


@case("a message of a batch that a full queue refuses raises, and the others arrive")
async def refused(broker: Broker) -> None:
    full = await broker.queue(max_length=1, queue_arguments={"x-overflow": "reject-publish"})
    queue = await broker.queue()
    await broker.send(full, "first")
    with expected(errors.Refused):
        await broker.producer.publish_many(["one", ("two", {"routing_key": full.name})], routing_key=queue.name)
        await broker.producer.flush()
    assert await ready(queue) == ["one"]
    assert await ready(full) == ["first"]
