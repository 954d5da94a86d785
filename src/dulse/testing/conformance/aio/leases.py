"""What a process holds when it is killed comes back; what a living one holds does not."""

from __future__ import annotations

import signal
from time import monotonic

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import LEASE, Broker, Child
from dulse.testing.conformance.aio.listening import collect, eventually, linger, listen, ready, take, until
from dulse.testing.conformance.expecting import expected

PROCESSES = ("processes",)
TIMED = ("processes", "timed leases")
STOPPED = ("processes", "timed leases", "signals")

BACK_WITHIN = LEASE + 4.0
"""Seconds: one more than the lease is promised, and machines are busy."""


@case("messages that a killed process held come back to others, redelivered, within the lease", requires=PROCESSES)
async def come_back(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(5))
    child = await broker.spawn("hold", queue.name, 3)
    assert await child.hear() == [0, 1, 2]
    await child.kill()
    messages = await collect(await broker.connection(lease=LEASE), queue, 5, BACK_WITHIN)
    assert sorted(message.payload for message in messages) == [0, 1, 2, 3, 4]
    again = {message.payload: message.delivery_info["redelivered"] for message in messages}
    assert again == {0: True, 1: True, 2: True, 3: False, 4: False}


@case("they come back while a consumer waits for them, without anything being published", requires=PROCESSES)
async def wake_a_consumer(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    child = await broker.spawn("hold", queue.name, 1)
    await child.hear()
    connection = await broker.connection(lease=LEASE)
    listener = await listen(connection, queue)
    await linger(connection)
    assert listener.messages == []
    await child.kill()
    await until(connection, lambda: listener.messages, BACK_WITHIN)
    await listener.messages[0].ack()


@case("they stand before what was published meanwhile", requires=("processes", "order"))
async def keep_their_place(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(4))
    child = await broker.spawn("hold", queue.name, 2)
    await child.hear()
    await broker.connection(lease=LEASE)
    await broker.send(queue, 4)
    await child.kill()

    async def are_back() -> bool:
        return (await queue.queue_declare(passive=True)).message_count == 5

    await eventually(are_back, BACK_WITHIN)
    assert await ready(queue) == [0, 1, 2, 3, 4]


@case("what a killed process had acknowledged does not come back", requires=PROCESSES)
async def acked_stay_away(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, *range(6))
    child = await broker.spawn("hold", queue.name, 6, 4)
    await child.hear()
    await child.kill()
    messages = await collect(await broker.connection(lease=LEASE), queue, 2, BACK_WITHIN)
    assert [message.payload for message in messages] == [4, 5]
    assert await ready(queue) == []


@case("a message is its handler's for as long as that lives, however short the lease is", requires=TIMED, slow=True)
async def living_handlers(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    child = await broker.spawn("hold", queue.name, 1)
    await child.hear()
    connection = await broker.connection(lease=LEASE)
    listener = await listen(connection, queue)
    await linger(connection, 2.5 * LEASE)
    assert listener.messages == []
    await child.kill()
    await until(connection, lambda: listener.messages, BACK_WITHIN)


async def stand_still(broker: Broker, child: Child) -> float:
    """Stop a process where it holds no lock of the store, which would keep everybody else out; tells when that was."""
    probe = await broker.queue()
    while True:
        began = monotonic()
        child.signal(signal.SIGSTOP)
        try:
            await broker.producer.publish("probe", probe.name, timeout=1)
        except (errors.DeadlineExceeded, errors.StorageBusy):
            child.signal(signal.SIGCONT)
        else:
            return began


@case("a process that stood still beyond its lease has lost its messages: they come back", requires=STOPPED, slow=True)
async def stopped_processes(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    child = await broker.spawn("hold_and_settle_late", queue.name)
    assert await child.hear() == "message"
    began = await stand_still(broker, child)
    connection = await broker.connection(lease=LEASE)
    listener = await listen(connection, queue)
    await until(connection, lambda: listener.messages, BACK_WITHIN)
    assert monotonic() - began > 0.5 * LEASE


@case("what such a process settles then is not taken for the new holder's word", requires=STOPPED, slow=True)
async def late_settlements(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    child = await broker.spawn("hold_and_settle_late", queue.name)
    await child.hear()
    await stand_still(broker, child)
    connection = await broker.connection(lease=LEASE)
    listener = await listen(connection, queue)
    await until(connection, lambda: listener.messages, BACK_WITHIN)
    child.signal(signal.SIGCONT)
    child.tell("settle")
    await child.hear()
    child.tell("end")
    await child.finish()
    await connection.close()
    assert await ready(queue) == ["message"]


@case("the exclusive queues of a killed process go", requires=PROCESSES, slow=True)
async def exclusive_queues(broker: Broker) -> None:
    name = broker.name()
    child = await broker.spawn("declare", name, {"exclusive": True, "durable": False})
    await child.hear()
    with expected(errors.ResourceLocked):
        await broker.queue(name=name, durable=False, exclusive=True)
    await broker.connection(lease=LEASE)
    await child.kill()

    async def is_gone() -> bool:
        channel = await broker.main.channel()
        try:
            await channel.queue_declare(name, passive=True)
        except errors.NotFound:
            return True
        except errors.ResourceLocked:
            return False
        await channel.close()
        return False

    await eventually(is_gone, BACK_WITHIN)


@case("an auto-delete queue goes when the process of its last consumer is killed", requires=PROCESSES, slow=True)
async def auto_delete_queues(broker: Broker) -> None:
    name = broker.name()
    child = await broker.spawn("consume", name, {"auto_delete": True})
    await child.hear()
    channel = await broker.main.channel()
    assert (await channel.queue_declare(name, passive=True)).consumer_count == 1
    await broker.connection(lease=LEASE)
    await child.kill()

    async def is_gone() -> bool:
        another = await broker.main.channel()
        try:
            await another.queue_declare(name, passive=True)
        except errors.NotFound:
            return True
        await another.close()
        return False

    await eventually(is_gone, BACK_WITHIN)


@case("the consumers of a killed process are counted no more", requires=PROCESSES, slow=True)
async def consumer_counts(broker: Broker) -> None:
    queue = await broker.queue()
    child = await broker.spawn("consume", queue.name, {})
    await child.hear()
    assert (await queue.queue_declare(passive=True)).consumer_count == 1
    await broker.connection(lease=LEASE)
    await child.kill()

    async def is_counted_no_more() -> bool:
        return (await queue.queue_declare(passive=True)).consumer_count == 0

    await eventually(is_counted_no_more, BACK_WITHIN)


@case("a handler that holds a message beyond max_hold loses it, though it lives", requires=("timed leases",), slow=True)
async def max_hold(broker: Broker) -> None:
    queue = await broker.queue()
    await broker.send(queue, "message")
    connection = await broker.connection(lease=LEASE, transport_options={"max_hold": 1})
    await take(queue.bind(connection))
    (message,) = await collect(broker.main, queue, 1)
    assert message.payload == "message"
    assert message.delivery_info["redelivered"] is True
