"""A peer that says nothing any more is noticed within two heartbeats and a second, in every call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from time import monotonic

import pytest

import dulse
from dulse import errors
from dulse.testing.proxy import FaultProxy
from tests.attempts import in_time
from tests.servers.rabbitmq import RabbitMQ

HEARTBEAT = 2
NOTICED = 2 * HEARTBEAT + 1
SLACK = 15.0
"""Seconds for a machine under load."""


class Reconnects:
    """An observer that counts them."""

    def __init__(self) -> None:
        self.count = 0

    def published(self, message: object) -> None: ...

    def received(self, delivery: object) -> None: ...

    def settled(self, delivery_tag: int, outcome: str) -> None: ...

    def reconnected(self, url: str) -> None:
        self.count += 1


@pytest.fixture
def url(rabbitmq: RabbitMQ, proxy: FaultProxy) -> str:
    return rabbitmq.url_of(port=proxy.port)


def draft(url: str, **options: object) -> dulse.Connection:
    return dulse.Connection(url, heartbeat=HEARTBEAT, transport_options={"reconnect_timeout": 0, **options})


CALLS: dict[str, Callable[[dulse.Connection, str], object]] = {
    "declare": lambda connection, name: connection.default_channel.queue_declare(name),
    "get": lambda connection, name: connection.default_channel.basic_get(name),
    "drain": lambda connection, _: connection.drain_events(),
    "flush": lambda connection, _: connection.transport.transport.flush(60),
    "open a channel": lambda connection, _: connection.channel(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_stalled_peer_ends_a_call(url: str, proxy: FaultProxy, name: str, call: str) -> None:
    def attempt() -> float:
        connection = draft(url)
        connection.default_channel.queue_declare(name)
        connection.default_channel.basic_consume(name, callback=print)
        proxy.stall()
        connection.Producer(routing_key="nowhere").publish(b"unconfirmed")
        began = monotonic()

        with pytest.raises((errors.ConnectionError, errors.Unconfirmed)) as caught:
            CALLS[call](connection, name)

        took = monotonic() - began
        proxy.resume()
        with nullcontext() if isinstance(caught.value, errors.Unconfirmed) else pytest.raises(errors.Unconfirmed):
            connection.close()
        return took

    in_time(NOTICED, attempt)


def test_a_peer_that_does_not_answer_ends_connecting_at_its_limit(url: str, proxy: FaultProxy) -> None:
    proxy.stall()
    connection = dulse.Connection(url, connect_timeout=1)
    began = monotonic()

    with pytest.raises(errors.OperationalError, match="does not answer"):
        connection.connect()

    assert monotonic() - began < 1 + SLACK


def compute(_connection: dulse.Connection) -> None:
    until = monotonic() + 5
    while monotonic() < until:
        sum(range(1000))


def wait_for_messages(connection: dulse.Connection) -> None:
    connection.default_channel.basic_consume(
        connection.default_channel.queue_declare("", exclusive=True).queue, callback=print
    )
    with pytest.raises(errors.DeadlineExceeded):
        connection.drain_events(timeout=5)


def compute_in_a_handler(connection: dulse.Connection) -> None:
    channel = connection.default_channel
    queue = channel.queue_declare("", exclusive=True).queue
    channel.basic_consume(queue, callback=lambda _message: compute(connection))
    channel.basic_publish(b"work", "", queue)
    connection.drain_events(timeout=SLACK)


@pytest.mark.parametrize("idle", [compute, wait_for_messages, compute_in_a_handler])
def test_a_connection_lives_by_heartbeats_while_its_program(
    rabbitmq: RabbitMQ, name: str, idle: Callable[[dulse.Connection], None]
) -> None:
    observer = Reconnects()
    with dulse.Connection(rabbitmq.url, heartbeat=1, observer=observer) as connection:
        channel = connection.default_channel
        channel.queue_declare(name)
        idle(connection)
        channel.basic_publish(b"message", "", name)
        channel.flush()
        assert observer.count == 0
        assert channel.basic_get(name) is not None


def publish_for_ever(producer: dulse.Producer) -> None:
    while True:
        producer.publish(b"x" * 10_000, timeout=2)


def test_publishing_waits_for_a_stalled_peer_no_longer_than_it_may(url: str, proxy: FaultProxy, name: str) -> None:
    connection = dulse.Connection(url)
    producer = connection.Producer(routing_key=name)
    producer.maybe_declare(dulse.Queue(name)(connection))
    proxy.stall()
    began = monotonic()

    with pytest.raises(errors.DeadlineExceeded):
        publish_for_ever(producer)

    assert monotonic() - began < 30 + SLACK
    proxy.resume()
    producer.flush(30)
    connection.close()
