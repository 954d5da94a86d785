"""A queue may hold so many messages, or so many bytes, and no more."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, ready, take
from dulse.testing.conformance.expecting import expected

EXACT = ("exact limits",)
REJECT = {"x-overflow": "reject-publish"}


@case("a queue with max_length drops its oldest messages", requires=EXACT)
async def drop_head(broker: Broker) -> None:
    queue = await broker.queue(max_length=3)
    await broker.send(queue, *range(7))
    assert (await queue.queue_declare(passive=True)).message_count == 3
    assert await ready(queue) == [4, 5, 6]


@case("a queue with max_length_bytes drops its oldest messages until the others fit", requires=EXACT)
async def drop_bytes(broker: Broker) -> None:
    queue = await broker.queue(max_length_bytes=10_000)
    for number in range(5):
        await broker.send(queue, bytes([number]) * 3000)
    assert [body[0] for body in await ready(queue)] == [2, 3, 4]
    await broker.send(queue, *(bytes([number]) * 2000 for number in range(5)), bytes([8]) * 9000)
    assert [body[0] for body in await ready(queue)] == [8]


@case("only the bytes of bodies count: not those of headers, properties and routing", requires=EXACT)
async def bodies_alone(broker: Broker) -> None:
    queue = await broker.queue(max_length_bytes=10)
    await broker.send(queue, b"12345", b"67890", headers={"long": "x" * 1000})
    assert await ready(queue) == [b"12345", b"67890"]


@case("whichever limit is reached first counts where there are both", requires=EXACT)
async def both_limits(broker: Broker) -> None:
    queue = await broker.queue(max_length=2, max_length_bytes=10_000)
    await broker.send(queue, b"a", b"b", b"c")
    assert await ready(queue) == [b"b", b"c"]
    await broker.send(queue, b"d" * 6000, b"e" * 6000)
    assert await ready(queue) == [b"e" * 6000]


@case("messages that are being worked on do not count", requires=EXACT)
async def unsettled_ones(broker: Broker) -> None:
    queue = await broker.queue(max_length=2)
    await broker.send(queue, "one", "two")
    messages = [await take(queue) for _ in range(2)]
    await broker.send(queue, "three", "four")
    for message in messages:
        await message.ack()
    assert await ready(queue) == ["three", "four"]


@case("with reject-publish a full queue refuses the new message (Refused), and keeps the old ones", requires=EXACT)
async def reject_publish(broker: Broker) -> None:
    queue = await broker.queue(max_length=2, queue_arguments=REJECT)
    await broker.send(queue, "one", "two")
    with expected(errors.Refused) as caught:
        await broker.send(queue, "three")
    assert caught.value.retryable
    assert await ready(queue) == ["one", "two"]


@case("a queue that refused takes messages again when there is room", requires=EXACT)
async def room_again(broker: Broker) -> None:
    queue = await broker.queue(max_length=1, queue_arguments=REJECT)
    await broker.send(queue, "one")
    with expected(errors.Refused):
        await broker.send(queue, "two")
    await (await take(queue)).ack()
    await broker.send(queue, "three")
    assert await ready(queue) == ["three"]


@case("reject-publish goes for bytes as well", requires=EXACT)
async def reject_bytes(broker: Broker) -> None:
    queue = await broker.queue(max_length_bytes=10_000, queue_arguments=REJECT)
    await broker.send(queue, b"a" * 6000)
    with expected(errors.Refused):
        await broker.send(queue, b"b" * 6000)
    await broker.send(queue, b"c" * 2000)
    assert [body[:1] for body in await ready(queue)] == [b"a", b"c"]


@case("a full queue that rejects does not keep a message from the other queues of its route", requires=EXACT)
async def others_get_theirs(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    full = await broker.queue(exchange, "key", max_length=1, queue_arguments=REJECT)
    other = await broker.queue(exchange, "key")
    await broker.publish(exchange, "key", "one")
    with expected(errors.Refused):
        await broker.publish(exchange, "key", "two")
    assert await ready(full) == ["one"]
    assert await ready(other) == ["one", "two"]


@case("a batch that is longer than the queue leaves its end there", requires=EXACT)
async def batches(broker: Broker) -> None:
    queue = await broker.queue(max_length=10)
    await broker.producer.publish_many(range(100), routing_key=queue.name)
    await broker.producer.flush()
    assert await ready(queue) == list(range(90, 100))


@case("what is dropped at the head is dead-lettered", requires=EXACT)
async def dropped_to_dead_letters(broker: Broker) -> None:
    graves = await broker.queue()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves.name}
    queue = await broker.queue(max_length=2, queue_arguments=arguments)
    await broker.send(queue, *range(4))
    dead = await collect(broker.main, graves, 2)
    assert [message.payload for message in dead] == [0, 1]
    assert [message.headers["x-death"][0]["reason"] for message in dead] == ["maxlen"] * 2
    assert await ready(queue) == [2, 3]


@case("with reject-publish-dlx the refused message is dead-lettered, and the publisher told", requires=EXACT)
async def reject_publish_dlx(broker: Broker) -> None:
    graves = await broker.queue()
    arguments = {
        "x-overflow": "reject-publish-dlx",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": graves.name,
    }
    queue = await broker.queue(max_length=1, queue_arguments=arguments)
    await broker.send(queue, "one")
    with expected(errors.Refused):
        await broker.send(queue, "two")
    (dead,) = await collect(broker.main, graves, 1)
    assert dead.payload == "two"
    assert dead.headers["x-death"][0]["reason"] == "maxlen"
    assert await ready(queue) == ["one"]


@case("an overflow that does not exist is refused (406)")
async def unknown_overflow(broker: Broker) -> None:
    with expected(errors.PreconditionFailed):
        await broker.queue(max_length=1, queue_arguments={"x-overflow": "explode"})


@case("a negative limit is refused")
async def negative(broker: Broker) -> None:
    with expected(errors.InvalidArgument):
        await broker.queue(max_length=-1)
    channel = await broker.main.channel()
    with expected(errors.PreconditionFailed):
        await channel.queue_declare(broker.name(), durable=True, arguments={"x-max-length": -1})
