"""A quorum queue on three nodes loses nothing when its leader's node is killed, wherever we are connected."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import Meanwhile
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.rabbitmq_cluster import RabbitMQCluster

pytestmark = [pytest.mark.kill, pytest.mark.timeout(400)]

LONG = 120.0
"""Seconds that a cluster on a machine under load may take for an election or a declaration."""

WINDOW = 1000
QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture
def queue(rabbitmq_cluster: RabbitMQCluster) -> Iterator[str]:
    """A quorum queue with a member on each node, deleted afterwards."""
    name = f"quorum-{secrets.token_hex(6)}"
    with dulse.Connection(rabbitmq_cluster.urls) as connection:
        dulse.Queue(name, queue_arguments=QUORUM)(connection).declare()
    yield name
    rabbitmq_cluster.start()
    with dulse.Connection(rabbitmq_cluster.urls) as connection:
        connection.default_channel.queue_delete(name)


def urls_from(cluster: RabbitMQCluster, queue: str, where: str) -> tuple[RabbitMQ, list[str]]:
    """The queue's leader, and the addresses with it first or last."""
    leader = cluster.leader_of(queue)
    others = [node.url for node in cluster.nodes if node is not leader]
    return leader, [leader.url, *others] if where == "the leader" else [*others, leader.url]


def publish(
    connection: dulse.Connection, queue: str, numbers: Sequence[int], halfway: threading.Event | None = None
) -> None:
    producer = connection.Producer(routing_key=queue)
    for number in numbers:
        if halfway is not None and number == numbers[len(numbers) // 2]:
            halfway.set()
        producer.publish(str(number).encode(), timeout=LONG)
    producer.flush(LONG)


def killing(node: RabbitMQ, when: threading.Event) -> Meanwhile:
    def kill() -> None:
        assert when.wait(LONG)
        node.kill()

    return Meanwhile(kill)


@pytest.mark.parametrize("where", ["the leader", "another"])
def test_publishing_by_the_node_of(rabbitmq_cluster: RabbitMQCluster, queue: str, where: str) -> None:
    total, halfway = 4000, threading.Event()
    refused: list[int] = []
    leader, urls = urls_from(rabbitmq_cluster, queue, where)
    options = {"on_unconfirmed": lambda message, _error: refused.append(int(message.body))}
    with (
        dulse.Connection(urls, transport_options=options) as connection,
        killing(leader, halfway),
        suppress(errors.Refused),
    ):
        publish(connection, queue, range(total), halfway)
    # A channel on which RabbitMQ 3.10 has looked for the leader in vain refuses all until that node is back: a new one.
    rabbitmq_cluster.leader_of(queue)
    living = [node.url for node in rabbitmq_cluster.nodes if node is not leader]
    with dulse.Connection(living) as connection:
        publish(connection, queue, refused)

    missing, came = set(range(total)), 0

    def on_message(message: dulse.Message) -> None:
        nonlocal came
        came += 1
        missing.discard(int(message.body))
        message.ack()

    with dulse.Connection(living) as connection:
        there = dulse.Queue(queue, no_declare=True)
        with dulse.Consumer(connection, [there], on_message=on_message, prefetch_count=500):
            while missing:
                connection.drain_events(timeout=LONG)
    assert came - total <= WINDOW


@pytest.mark.parametrize("where", ["the leader", "another"])
def test_consuming_by_the_node_of(rabbitmq_cluster: RabbitMQCluster, queue: str, where: str) -> None:
    total, halfway = 4000, threading.Event()
    leader, urls = urls_from(rabbitmq_cluster, queue, where)
    missing, came = set(range(total)), 0

    def on_message(message: dulse.Message) -> None:
        nonlocal came
        came += 1
        if int(message.body) not in missing:
            assert message.delivery_info["redelivered"]
        missing.discard(int(message.body))
        if came == total // 2:
            halfway.set()
        message.ack()

    with dulse.Connection(urls) as connection:
        publish(connection, queue, range(total))
        there = dulse.Queue(queue, no_declare=True)
        with (
            dulse.Consumer(connection, [there], on_message=on_message, prefetch_count=50),
            killing(leader, halfway),
        ):
            while missing:
                connection.drain_events(timeout=LONG)
    assert came - total <= WINDOW


def test_a_queue_without_its_majority_confirms_what_waits_once_it_has_it_again(
    rabbitmq_cluster: RabbitMQCluster, queue: str
) -> None:
    leader = rabbitmq_cluster.leader_of(queue)
    others = [node for node in rabbitmq_cluster.nodes if node is not leader]
    with dulse.Connection(rabbitmq_cluster.urls) as connection:
        publish(connection, queue, range(10))
        for node in others:
            node.kill()
        producer = connection.Producer(routing_key=queue)
        with Meanwhile(rabbitmq_cluster.start):
            for number in range(10, 20):
                producer.publish(str(number).encode(), timeout=LONG)
            producer.flush(LONG)
        found: set[int] = set()
        while (message := connection.default_channel.basic_get(queue)) is not None:
            found.add(int(message.body))
            message.ack()
    assert found == set(range(20))
