"""By asyncio too, a quorum queue on three nodes loses nothing when its leader's node is killed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from dulse import errors
from dulse.aio import Connection, Message, Queue
from tests.amqp_transport.test_cluster import LONG, WINDOW, killing, queue, urls_from
from tests.servers.rabbitmq_cluster import RabbitMQCluster

__all__ = ["queue"]

pytestmark = [pytest.mark.kill, pytest.mark.slow, pytest.mark.timeout(400)]


async def publish(
    connection: Connection, name: str, numbers: Sequence[int], halfway: threading.Event | None = None
) -> None:
    producer = connection.Producer(routing_key=name)
    for number in numbers:
        if halfway is not None and number == numbers[len(numbers) // 2]:
            halfway.set()
        await producer.publish(str(number).encode(), timeout=LONG)
    await producer.flush(LONG)


@pytest.mark.parametrize("where", ["the leader", "another"])
async def test_publishing_by_the_node_of(rabbitmq_cluster: RabbitMQCluster, queue: str, where: str) -> None:
    total, halfway = 4000, threading.Event()
    refused: list[int] = []
    leader, urls = urls_from(rabbitmq_cluster, queue, where)
    options = {"on_unconfirmed": lambda message, _error: refused.append(int(message.body))}
    with killing(leader, halfway), suppress(errors.Refused):
        async with Connection(urls, transport_options=options) as connection:
            await publish(connection, queue, range(total), halfway)
    # A channel on which RabbitMQ 3.10 has looked for the leader in vain refuses all until that node is back: a new one.
    await asyncio.to_thread(rabbitmq_cluster.leader_of, queue)
    living = [node.url for node in rabbitmq_cluster.nodes if node is not leader]
    missing, came = set(range(total)), 0

    async def on_message(message: Message[Any]) -> None:
        nonlocal came
        came += 1
        missing.discard(int(message.body))
        await message.ack()

    async with Connection(living) as connection:
        await publish(connection, queue, refused)
        there: Queue[Any] = Queue(queue, no_declare=True)
        async with connection.Consumer([there], on_message=on_message, prefetch_count=500):
            while missing:
                await connection.drain_events(timeout=LONG)
    assert came - total <= WINDOW


@pytest.mark.parametrize("where", ["the leader", "another"])
async def test_consuming_by_the_node_of(rabbitmq_cluster: RabbitMQCluster, queue: str, where: str) -> None:
    total, halfway = 4000, threading.Event()
    leader, urls = urls_from(rabbitmq_cluster, queue, where)
    missing, came = set(range(total)), 0

    async def on_message(message: Message[Any]) -> None:
        nonlocal came
        came += 1
        if int(message.body) not in missing:
            assert message.delivery_info["redelivered"]
        missing.discard(int(message.body))
        if came == total // 2:
            halfway.set()
        await message.ack()

    async with Connection(urls) as connection:
        await publish(connection, queue, range(total))
        there: Queue[Any] = Queue(queue, no_declare=True)
        with killing(leader, halfway):
            async with connection.Consumer([there], on_message=on_message, prefetch_count=50):
                while missing:
                    await connection.drain_events(timeout=LONG)
    assert came - total <= WINDOW
