"""A message stays the broker's until it is settled, and is gone when it was."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import listen, ready, take, until
from dulse.testing.conformance.expecting import expected


@case("an acknowledged message is gone for good")
async def acked_is_gone(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    await (await take(queue.bind(connection))).ack()
    await connection.close()
    assert await ready(queue) == []


@case("a message that is being worked on is given to nobody else")
async def unsettled_is_nobody_elses(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    message = await take(queue.bind(connection))
    assert await queue.get() is None
    assert await queue.bind(connection).get() is None
    await message.ack()


@case("acknowledging one message leaves those before and after it to be settled")
async def one_of_several(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(3))
    connection = await broker.connection()
    bound = queue.bind(connection)
    messages = [await take(bound) for _ in range(3)]
    await messages[1].ack()
    await connection.close()
    assert await ready(queue) == [0, 2]


@case("ack(multiple=True) acknowledges all deliveries of the channel up to that one, and none after it")
async def multiple(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(5))
    connection = await broker.connection()
    bound = queue.bind(connection)
    messages = [await take(bound) for _ in range(5)]
    await messages[2].ack(multiple=True)
    await connection.close()
    assert await ready(queue) == [3, 4]


@case("a multiple ack of one channel leaves the deliveries of another alone")
async def multiple_is_a_channels_own(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(4))
    connection = await broker.connection()
    bound = [queue.bind(await connection.channel()) for _ in range(2)]
    messages = [await take(bound[number % 2]) for number in range(4)]
    await messages[3].ack(multiple=True)
    await connection.close()
    assert await ready(queue) == [0, 2]


@case("acknowledging a message a second time raises MessageStateError, and nothing breaks")
async def twice(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "one", "two")
    message = await take(queue)
    await message.ack()
    for settle in (message.ack, message.reject, message.requeue):
        with expected(errors.MessageStateError):
            await settle()
    assert message.acknowledged
    assert await ready(queue) == ["two"]


@case("acknowledging a delivery tag that the channel does not know is refused (406) and closes it")
async def unknown_tag(broker: Broker) -> None:
    channel = await broker.main.channel()
    with expected(errors.PreconditionFailed):
        await channel.basic_ack(99)
        await channel.queue_declare(broker.name())
    with expected(errors.ChannelError):
        await channel.queue_declare(broker.name())
    assert not channel.is_open


@case("delivery tags are the channel's own: another one cannot settle by them")
async def tags_of_another_channel(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    channel = await connection.channel()
    message = await take(queue.bind(connection))
    with expected(errors.PreconditionFailed):
        await channel.basic_ack(message.delivery_tag)
        await channel.queue_declare(broker.name())
    await connection.close()
    assert await ready(queue) == ["message"]


@case("a message that is rejected without requeue is gone")
async def rejected_is_gone(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    await (await take(queue.bind(connection))).reject()
    await connection.close()
    assert await ready(queue) == []


@case("a message that is requeued can be had at once, by anybody")
async def requeued_is_back(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    bound = queue.bind(connection)
    await (await take(bound)).requeue()
    again = await take(bound)
    assert again.payload == "message"
    await again.requeue()
    await connection.close()
    assert await ready(queue) == ["message"]


@case("rejecting with multiple, as basic.nack does, puts back all up to that delivery")
async def several_rejected(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(4))
    connection = await broker.connection()
    bound = queue.bind(connection)
    messages = [await take(bound) for _ in range(4)]
    channel = await connection.default_channel
    await channel.basic_reject(messages[1].delivery_tag, requeue=True, multiple=True)
    assert await ready(bound) == [0, 1]
    await connection.close()
    assert await ready(queue) == [2, 3]


@case("what a consumer without acknowledgement is given is gone at once, and is given one by one all the same")
async def no_ack_consumer(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(3))
    connection = await broker.connection()
    listener = await listen(connection, queue, no_ack=True)
    await until(connection, lambda: len(listener.messages) == 3)
    await connection.close()
    assert listener.payloads() == [0, 1, 2]
    assert await ready(queue) == []


@case("a message that is got without acknowledgement is gone at once, and need not be settled")
async def no_ack_get(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    message = await queue.bind(connection).get(no_ack=True)
    assert message is not None
    await message.ack()
    with expected(errors.MessageStateError):
        await message.reject()
    await connection.close()
    assert await ready(queue) == []


@case("messages may be settled in any order")
async def any_order(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(6))
    connection = await broker.connection()
    bound = queue.bind(connection)
    messages = [await take(bound) for _ in range(6)]
    for number in (4, 0, 2):
        await messages[number].ack()
    await messages[5].reject()
    await messages[3].requeue()
    assert [message.acknowledged for message in messages] == [True, False, True, True, True, True]
    await connection.close()
    assert await ready(queue) == [1, 3]
