"""After os.fork both sides go on by asyncio too: the child in a loop and by connections of its own."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import pytest

from dulse.aio import Connection
from tests.amqp_transport.conftest import PATIENCE, taken
from tests.amqp_transport.test_forks import EACH, assert_ends_well, forked
from tests.servers.rabbitmq import RabbitMQ

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


async def publish(connection: Connection, queue: str, who: str) -> None:
    producer = connection.Producer(routing_key=queue)
    for number in range(EACH):
        await producer.publish(f"{who}:{number}".encode())
    await producer.flush(PATIENCE)


async def test_both_sides_publish_by_the_connection_that_was_open(rabbitmq: RabbitMQ, name: str) -> None:
    async with Connection(rabbitmq.url) as connection:
        await (await connection.default_channel).queue_declare(name)
        await connection.Producer(routing_key=name).publish(b"before")

        def in_a_child(number: int) -> int:
            return forked(lambda: asyncio.run(publish(connection, name, f"child {number}")))

        children = [in_a_child(number) for number in range(2)]
        await publish(connection, name, "parent")
        for child in children:
            await asyncio.to_thread(assert_ends_well, child)
        await publish(connection, name, "parent again")
    found = Counter(body.partition(b":")[0] for body in taken(rabbitmq.url, name))
    assert found == {b"before": 1} | dict.fromkeys((b"parent", b"parent again", b"child 0", b"child 1"), EACH)


async def test_a_fork_while_other_tasks_publish(rabbitmq: RabbitMQ, name: str) -> None:
    async with Connection(rabbitmq.url) as connection:
        await (await connection.default_channel).queue_declare(name)
        publishing = [asyncio.create_task(publish(connection, name, f"task {number}")) for number in range(3)]
        children = []
        for number in range(3):
            await asyncio.sleep(0.01)  # some of what they publish is on its way
            who = f"child {number}"
            children.append(forked(lambda who=who: asyncio.run(publish(connection, name, who))))  # type: ignore[misc]
        await asyncio.gather(*publishing)
        for child in children:
            await asyncio.to_thread(assert_ends_well, child)
    found = Counter(body.partition(b":")[0] for body in taken(rabbitmq.url, name))
    assert found == {f"{kind} {number}".encode(): EACH for kind in ("task", "child") for number in range(3)}


async def test_a_childs_end_leaves_the_parents_consumer_alone(rabbitmq: RabbitMQ, name: str) -> None:
    found: list[bytes] = []
    async with Connection(rabbitmq.url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        await channel.basic_consume(name, callback=lambda message: found.append(message.body), no_ack=True)
        child = forked(lambda: asyncio.run(connection.close()))
        await asyncio.to_thread(assert_ends_well, child)
        await channel.basic_publish(b"message", "", name)
        while not found:
            await connection.drain_events(timeout=PATIENCE)
        assert channel.is_open
    assert found == [b"message"]
