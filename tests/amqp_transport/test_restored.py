"""What a connection had comes back with the next one, and what was settled on the lost one is no more."""

from __future__ import annotations

import secrets
import threading
from typing import Any

import pytest

import dulse
from dulse import errors
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.conftest import PATIENCE, Meanwhile
from tests.servers.rabbitmq import RabbitMQ


class Reconnected:
    """An observer that waits for reconnects."""

    def __init__(self) -> None:
        self._happened = threading.Semaphore(0)

    def published(self, message: Any) -> None: ...

    def received(self, delivery: Any) -> None: ...

    def settled(self, delivery_tag: int, outcome: str) -> None: ...

    def reconnected(self, url: str) -> None:
        self._happened.release()

    def wait(self) -> None:
        assert self._happened.acquire(timeout=PATIENCE)


def collected(connection: dulse.Connection, channel: dulse.Channel, queue: str, count: int) -> list[bytes]:
    found: list[bytes] = []

    def on_message(message: dulse.Message) -> None:
        found.append(message.body)
        message.ack()

    tag = channel.basic_consume(queue, callback=on_message)
    while len(found) < count:
        connection.drain_events(timeout=PATIENCE)
    channel.basic_cancel(tag)
    return found


def test_exclusive_queues_come_back_with_their_bindings(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    observer = Reconnected()
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), observer=observer) as connection:
        channel = connection.channel()
        channel.exchange_declare(name, "fanout", auto_delete=True)
        queue = channel.queue_declare("", exclusive=True).queue
        channel.queue_bind(queue, name, "")
        proxy.cut()
        observer.wait()
        channel.basic_publish(b"message", name, "")
        assert collected(connection, channel, queue, 1) == [b"message"]


def test_consumers_come_back_with_their_prefetch(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    observer = Reconnected()
    held: list[dulse.Message] = []
    with (
        dulse.Connection(rabbitmq.url) as other,
        dulse.Connection(rabbitmq.url_of(port=proxy.port), observer=observer) as connection,
    ):
        sender = other.default_channel
        sender.queue_declare(name)
        for number in range(20):
            sender.basic_publish(str(number), "", name)
        sender.flush(PATIENCE)
        channel = connection.channel()
        channel.basic_qos(0, 3)
        channel.basic_consume(name, callback=held.append)
        while len(held) < 3:
            connection.drain_events(timeout=PATIENCE)
        proxy.cut()
        observer.wait()
        while len(held) < 6:
            connection.drain_events(timeout=PATIENCE)
        assert [message.body for message in held] == [b"0", b"1", b"2"] * 2
        assert all(message.delivery_info["redelivered"] for message in held[3:])
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0.5)


def test_acknowledging_what_came_by_a_lost_connection_does_nothing(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    observer = Reconnected()
    held: list[dulse.Message] = []
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), observer=observer) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        channel.basic_publish(b"message", "", name)
        channel.basic_consume(name, callback=held.append)
        while not held:
            connection.drain_events(timeout=PATIENCE)
        proxy.cut()
        observer.wait()
        held[0].ack()
        while len(held) < 2:
            connection.drain_events(timeout=PATIENCE)
        held[1].ack()
        assert channel.is_open
    with dulse.Connection(rabbitmq.url) as connection:
        assert connection.default_channel.basic_get(name) is None


def test_a_declaration_that_is_cut_off_is_made_again(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        channel = connection.channel()
        proxy.stall()
        with Meanwhile(lambda: channel.queue_declare(name)):
            proxy.wait_until(lambda: proxy.bytes_dropped >= 0)
            proxy.cut()
            proxy.resume()
        assert channel.queue_declare(name, passive=True).queue == name


def test_the_next_broker_is_taken_when_one_is_gone(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    with FaultProxy(rabbitmq.host, rabbitmq.port) as second:
        urls = [rabbitmq.url_of(port=proxy.port), rabbitmq.url_of(port=second.port)]
        with dulse.Connection(urls) as connection:
            channel = connection.default_channel
            channel.queue_declare(name)
            assert second.connections == 0
            proxy.refuse()
            proxy.cut()
            for number in range(100):
                channel.basic_publish(str(number), "", name)
            channel.flush(PATIENCE)
            assert second.connections == 1
            assert connection.default_channel is channel


def test_a_broker_that_stays_away_ends_the_link_and_names_what_is_unconfirmed(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    told: list[bytes] = []
    options = {"reconnect_timeout": 0.5, "on_unconfirmed": lambda message, _error: told.append(message.body)}
    connection = dulse.Connection(rabbitmq.url_of(port=proxy.port), transport_options=options)
    channel = connection.default_channel
    channel.queue_declare(name)
    proxy.stall()
    channel.basic_publish(b"message", "", name)
    proxy.refuse()
    proxy.cut()
    with pytest.raises(errors.Unconfirmed) as caught:
        channel.flush(PATIENCE)
    assert caught.value.message.body == b"message"
    assert told == [b"message"]
    connection.close()


def test_a_password_that_has_changed_ends_reconnecting_at_once(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    rabbitmq.add_user(user, "first")
    rabbitmq.permit(user, "/")
    connection = dulse.Connection(rabbitmq.url_of(user=user, password="first", port=proxy.port))
    connection.default_channel.queue_declare(name)
    rabbitmq.add_user(user, "second")
    proxy.cut()
    with pytest.raises(errors.ConnectionError):
        connection.drain_events(timeout=PATIENCE)
    connection.close()
    rabbitmq.remove_user(user)


def test_a_password_that_is_asked_for_may_change(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    user, observer = f"user-{secrets.token_hex(4)}", Reconnected()
    rabbitmq.add_user(user, "first")
    rabbitmq.permit(user, "/")
    secret = ["first"]
    address: dict[str, Any] = {
        "hostname": rabbitmq.host,
        "port": proxy.port,
        "userid": user,
        "password": lambda: secret[0],
    }
    with dulse.Connection(**address, transport="amqp", observer=observer) as connection:
        connection.default_channel.queue_declare(name)
        rabbitmq.add_user(user, "second")
        secret[0] = "second"
        proxy.cut()
        observer.wait()
        connection.default_channel.queue_declare(name, passive=True)
    rabbitmq.remove_user(user)
