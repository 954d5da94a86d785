"""A prefetch count bounds what a consumer, or a channel, holds unsettled."""

from __future__ import annotations

from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import keep, linger, listen, ready, until


@case("a consumer is given no more than its prefetch count, until it settles some")
async def the_bound(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(6))
    connection = await broker.connection()
    listener = await listen(connection, queue, prefetch=3)
    await until(connection, lambda: len(listener.messages) == 3)
    await linger(connection)
    assert listener.payloads() == [0, 1, 2]
    await listener.messages[0].ack()
    await until(connection, lambda: len(listener.messages) == 4)
    await linger(connection)
    assert listener.payloads() == [0, 1, 2, 3]


@case("rejecting makes room as acknowledging does")
async def rejecting_makes_room(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(4))
    connection = await broker.connection()
    listener = await listen(connection, queue, prefetch=1)
    for number in range(4):
        await until(connection, lambda: len(listener.messages) == number + 1)  # noqa: B023 - called here and now
        await listener.messages[number].reject()
    assert listener.payloads() == [0, 1, 2, 3]


@case("a message that is put back counts no more either")
async def requeueing_makes_room(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection()
    listener = await listen(connection, queue, prefetch=1)
    for number in range(3):
        await until(connection, lambda: len(listener.messages) == number + 1)  # noqa: B023 - called here and now
        await listener.messages[number].requeue()


@case("acknowledging several at once makes room for as many")
async def multiple_acks_make_room(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(6))
    connection = await broker.connection()
    listener = await listen(connection, queue, prefetch=3)
    await until(connection, lambda: len(listener.messages) == 3)
    await listener.messages[2].ack(multiple=True)
    await until(connection, lambda: len(listener.messages) == 6)
    assert listener.payloads() == [0, 1, 2, 3, 4, 5]


@case("a prefetch count of 0 is no bound")
async def no_bound(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(250))
    connection = await broker.connection()
    channel = await connection.channel()
    await channel.basic_qos(0, 0, False)
    listener = await listen(connection, queue)
    await until(connection, lambda: len(listener.messages) == 250)
    assert listener.payloads() == list(range(250))


@case("each consumer of a channel has a bound of its own")
async def each_its_own(broker: Broker) -> None:
    queues = [await broker.queue() for _ in range(2)]
    for queue in queues:
        await broker.send(queue, *range(4))
    connection = await broker.connection()
    channel = await connection.channel()
    await channel.basic_qos(0, 2, False)
    given: dict[str, list[int]] = {queue.name: [] for queue in queues}
    for queue in queues:
        await queue.bind(channel).consume(callback=keep(given[queue.name]))
    await until(connection, lambda: sum(map(len, given.values())) == 4)
    await linger(connection)
    assert list(given.values()) == [[0, 1], [0, 1]]


@case("a new count is for the consumers started from then on")
async def later_consumers(broker: Broker) -> None:
    queues = [await broker.queue() for _ in range(2)]
    for queue in queues:
        await broker.send(queue, *range(4))
    connection = await broker.connection()
    channel = await connection.channel()
    given: list[list[int]] = [[], []]
    for queue, bodies, prefetch in zip(queues, given, (1, 3), strict=True):
        await channel.basic_qos(0, prefetch, False)
        await queue.bind(channel).consume(callback=keep(bodies))
    await until(connection, lambda: sum(map(len, given)) == 4)
    await linger(connection)
    assert given == [[0], [0, 1, 2]]


@case("with apply_global, a count bounds all consumers of the channel together")
async def of_the_channel(broker: Broker) -> None:
    queues = [await broker.queue() for _ in range(3)]
    for queue in queues:
        await broker.send(queue, *range(3))
    connection = await broker.connection()
    channel = await connection.channel()
    await channel.basic_qos(0, 4, True)
    tags: list[int] = []
    for queue in queues:
        await queue.bind(channel).consume(callback=lambda message: tags.append(message.delivery_tag))
    await until(connection, lambda: len(tags) == 4)
    await linger(connection)
    assert len(tags) == 4
    await channel.basic_ack(tags[1], multiple=True)
    await until(connection, lambda: len(tags) == 6)
    await linger(connection)
    assert len(tags) == 6


@case("what a consumer has no room for is there for others")
async def the_rest_is_for_others(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(3))
    slow, quick = await broker.connection(), await broker.connection()
    held = await listen(slow, queue, prefetch=1)
    await until(slow, lambda: len(held.messages) == 1)
    await linger(slow)
    given = await listen(quick, queue)
    await until(quick, lambda: len(given.messages) == 2)
    assert (held.payloads(), given.payloads()) == ([0], [1, 2])


@case("a consumer without acknowledgement is not bounded")
async def no_ack(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(5))
    connection = await broker.connection()
    listener = await listen(connection, queue, prefetch=1, no_ack=True)
    await until(connection, lambda: len(listener.messages) == 5)
    assert await ready(queue) == []


@case("messages that are got one by one count in no consumer's bound")
async def got_ones(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(3))
    connection = await broker.connection()
    channel = await connection.channel()
    await channel.basic_qos(0, 1, False)
    got = [await channel.basic_get(queue.name) for _ in range(2)]
    assert [message and message.payload for message in got] == [0, 1]
    given: list[int] = []
    await channel.basic_consume(queue.name, callback=keep(given))
    await until(connection, lambda: given == [2])


@case("of one connection's consumers those of the highest priority come first, and others while these have no room")
async def consumer_priority(broker: Broker) -> None:
    queue = await broker.queue()
    low = await listen(broker.main, queue, prefetch=10)
    high = await listen(broker.main, queue, prefetch=2, arguments={"x-priority": 5})
    await broker.send(queue, *range(3))
    await until(broker.main, lambda: len(high.messages) + len(low.messages) == 3)
    assert (high.payloads(), low.payloads()) == ([0, 1], [2])
    for message in list(high.messages):
        await message.ack()
    await linger(broker.main)
    await broker.send(queue, 3, 4)
    await until(broker.main, lambda: len(high.messages) + len(low.messages) == 5)
    assert (high.payloads(), low.payloads()) == ([0, 1, 3, 4], [2])
