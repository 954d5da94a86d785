"""A foreign event loop is woken by the descriptor of a blocking link whenever there is something to hand over."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Any

import pytest

import dulse
from dulse import aio, errors
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.conftest import PATIENCE
from tests.servers.rabbitmq import RabbitMQ


class Loop:
    """What Kombu's users have: it waits for descriptors, and drains without waiting when one is readable."""

    def __init__(self, connection: dulse.Connection) -> None:
        self._connection = connection
        self._selector = selectors.DefaultSelector()
        self.descriptor = connection.fileno()
        self._selector.register(self.descriptor, selectors.EVENT_READ)

    def drain(self) -> None:
        while True:
            try:
                self._connection.drain_events(timeout=0)
            except errors.DeadlineExceeded:
                return

    def wait(self, seconds: float) -> bool:
        return bool(self._selector.select(seconds))

    def run_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self.wait(PATIENCE)
            self.drain()


def consuming(connection: dulse.Connection, name: str) -> list[bytes]:
    found: list[bytes] = []

    def on_message(message: dulse.Message[Any]) -> None:
        found.append(message.body)
        message.ack()

    connection.default_channel.queue_declare(name)
    connection.default_channel.basic_consume(name, callback=on_message)
    return found


def test_a_loop_is_woken_for_each_message(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection, dulse.Connection(rabbitmq.url) as publisher:
        found = consuming(connection, name)
        loop = Loop(connection)
        for number in range(50):
            publisher.Producer(routing_key=name).publish(b"%d" % number)
            loop.run_until(lambda number=number: len(found) > number)  # type: ignore[misc]
        assert found == [b"%d" % number for number in range(50)]


def test_a_loop_is_woken_for_what_another_call_has_read(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection, dulse.Connection(rabbitmq.url) as publisher:
        found = consuming(connection, name)
        loop = Loop(connection)
        loop.drain()
        producer = publisher.Producer(routing_key=name)
        for number in range(20):
            producer.publish(b"%d" % number)
        producer.flush()
        connection.default_channel.queue_declare(name, passive=True)  # its reply comes behind some of them
        loop.run_until(lambda: len(found) == 20)


def test_a_loop_sleeps_while_there_is_nothing(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url, heartbeat=0) as connection:
        consuming(connection, name)
        loop = Loop(connection)
        loop.drain()
        assert not loop.wait(0.2)


def test_the_descriptor_stays_through_a_lost_connection(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    with (
        dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection,
        dulse.Connection(rabbitmq.url) as publisher,
    ):
        found = consuming(connection, name)
        loop = Loop(connection)
        proxy.cut()
        publisher.Producer(routing_key=name).publish(b"after")
        loop.run_until(lambda: found == [b"after"])
        assert connection.transport.transport.fileno() == loop.descriptor  # type: ignore[attr-defined]


def test_a_drain_without_time_takes_what_has_come(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0)
        found = consuming(connection, name)
        producer = connection.Producer(routing_key=name)
        producer.publish(b"here")
        producer.flush()
        loop = Loop(connection)
        loop.run_until(lambda: found == [b"here"])


class KombusLoop:
    """An event loop in the form that Kombu's users give: it is told of descriptors, and calls."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add_reader(self, fd: int, callback: Callable[..., Any], *args: Any) -> None:
        self._selector.register(fd, selectors.EVENT_READ, lambda: callback(*args))

    def once(self) -> None:
        ready = self._selector.select(PATIENCE)
        assert ready
        for key, _ in ready:
            key.data()


@pytest.mark.parametrize("by", ["the connection", "its transport"])
def test_a_loop_of_kombus_form_hands_over_what_comes(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, by: str) -> None:
    with (
        dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection,
        dulse.Connection(rabbitmq.url) as publisher,
    ):
        found = consuming(connection, name)
        loop = KombusLoop()
        if by == "the connection":
            connection.register_with_event_loop(loop)
        else:
            session = connection.connection
            assert session is not None
            connection.transport.register_with_event_loop(session, loop)
        descriptor = connection.fileno()
        for number in range(20):
            if number == 10:
                proxy.cut()
            publisher.default_channel.basic_publish(str(number), "", name)
            while str(number).encode() not in found:
                loop.once()
        assert connection.fileno() == descriptor


def test_a_transport_without_a_descriptor_says_so() -> None:
    with dulse.Connection("memory://") as connection:
        connection.connect()
        with pytest.raises(errors.NotSupported, match="transport memory has no descriptor"):
            connection.register_with_event_loop(KombusLoop())


async def test_a_connection_of_asyncio_has_no_descriptor(rabbitmq: RabbitMQ) -> None:
    async with aio.Connection(rabbitmq.url) as connection:
        await connection.connect()
        with pytest.raises(errors.NotSupported, match="served by its own loop"):
            connection.register_with_event_loop(KombusLoop())
