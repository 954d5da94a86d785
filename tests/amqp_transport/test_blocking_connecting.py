"""Connecting to a broker by blocking calls: what goes wrong is said in clear words, within its time."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest

import dulse
from dulse import errors
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.conftest import PATIENCE, taken
from tests.servers.rabbitmq import RabbitMQ


@contextmanager
def server_that_says(words: bytes) -> Iterator[int]:
    """A server that speaks first, and then reads until the end."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            link, _ = door.accept()
            with link:
                link.sendall(words)
                link.settimeout(PATIENCE)
                while link.recv(65536):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield door.getsockname()[1]
        thread.join(PATIENCE)


def test_a_wrong_password(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(errors.AuthenticationFailed, match="user name and password") as caught:
        dulse.Connection(rabbitmq.url_of(password="sesame")).connect()
    assert "sesame" not in str(caught.value)


def test_an_unknown_virtual_host(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(errors.VirtualHostRefused, match=r"missing.*correct the last part of the URL"):
        dulse.Connection(rabbitmq.url_of("missing")).connect()


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(errors.ConnectionRefused, match=str(port)):
        dulse.Connection(f"amqp://127.0.0.1:{port}").connect()


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(errors.ConnectionRefused, match=r"no-such-host\.invalid"):
        dulse.Connection("amqp://no-such-host.invalid").connect()


def test_a_server_that_speaks_something_else() -> None:
    with server_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(errors.ProtocolError):
        dulse.Connection(f"amqp://127.0.0.1:{port}").connect()


def test_a_server_that_says_nothing() -> None:
    began = monotonic()
    with server_that_says(b"") as port, pytest.raises(errors.DeadlineExceeded, match="does not answer"):
        dulse.Connection(f"amqp://127.0.0.1:{port}", connect_timeout=0.5).connect()
    assert monotonic() - began < PATIENCE / 2


def test_tls_spoken_to_a_plain_port(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(errors.ProtocolError, match="does not speak TLS"):
        dulse.Connection(rabbitmq.url.replace("amqp://", "amqps://")).connect()


def test_a_plain_word_to_a_port_of_tls(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(errors.OperationalError):
        dulse.Connection(f"amqp://guest:guest@localhost:{rabbitmq.tls_port}//", connect_timeout=5).connect()


def test_messages_go_both_ways_over_tls(rabbitmq: RabbitMQ, name: str) -> None:
    total = 3000
    found: list[bytes] = []

    def on_message(message: dulse.Message) -> None:
        found.append(message.body)
        message.ack()

    with dulse.Connection(rabbitmq.tls_url, ssl={"ca_certs": str(rabbitmq.authority.certificate)}) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for number in range(total):
            producer.publish(str(number).encode().ljust(5000, b"."))
        producer.flush(PATIENCE)
        queue = dulse.Queue(name, no_declare=True)
        with dulse.Consumer(connection, [queue], on_message=on_message, prefetch_count=100):
            while len(found) < total:
                connection.drain_events(timeout=PATIENCE)
    assert [int(body.rstrip(b".")) for body in found] == list(range(total))


def test_threads_share_a_connection_over_tls(rabbitmq: RabbitMQ, name: str) -> None:
    threads, each = 8, 300
    with dulse.Connection(rabbitmq.tls_url, ssl={"ca_certs": str(rabbitmq.authority.certificate)}) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))

        def publish() -> None:
            for _ in range(each):
                producer.publish(b"x" * 20_000)

        working = [threading.Thread(target=publish) for _ in range(threads)]
        for thread in working:
            thread.start()
        for thread in working:
            thread.join(PATIENCE)
        producer.flush(PATIENCE)
    assert len(taken(rabbitmq.url, name)) == threads * each


def test_a_header_that_no_table_carries_leaves_the_connection_as_it_is(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.default_channel
        channel.queue_declare(name)
        with pytest.raises(errors.EncodeError, match="large"):
            channel.basic_publish(channel.prepare_message("body", headers={"large": 2**63}), "", name)
        with pytest.raises(errors.InvalidArgument, match="255"):
            channel.basic_publish("body", "", "k" * 256)
        assert channel.is_open
        channel.basic_publish("message", "", name)
        channel.flush(PATIENCE)
    assert taken(rabbitmq.url, name) == [b"message"]


def test_a_message_over_our_own_limit_closes_its_channel_alone(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url, transport_options={"max_message_size": 1000}) as connection:
        other = connection.channel()
        channel = connection.channel()
        channel.queue_declare(name)
        channel.basic_publish(b"x" * 1001, "", name)
        channel.flush(PATIENCE)
        with pytest.raises(errors.ContentTooLarge, match="1001"):
            channel.basic_get(name)
        assert not channel.is_open
        assert other.queue_declare(name, passive=True).queue == name


def test_options_of_tcp_are_set_by_number_or_name(rabbitmq: RabbitMQ) -> None:
    settings = {"TCP_USER_TIMEOUT": 7000, socket.TCP_KEEPCNT: 5}
    with dulse.Connection(rabbitmq.url, transport_options={"socket_settings": settings}) as connection:
        connection.connect()
        link: Any = connection.transport.transport
        with socket.socket(fileno=os.dup(link._link._line.stream.fileno())) as same:
            assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000
            assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 5


@pytest.mark.parametrize("settings", [{"TCP_NONSENSE": 1}, {"SO_LINGER": 1}, {socket.TCP_KEEPCNT: "five"}])
def test_an_option_that_tcp_has_not_is_named(settings: dict[Any, Any]) -> None:
    with pytest.raises(errors.InvalidArgument, match="socket_settings has"):
        dulse.Connection("amqp://localhost:1//", transport_options={"socket_settings": settings}).connect()


def test_a_call_waits_for_an_answer_as_long_as_read_timeout_says(rabbitmq: RabbitMQ, proxy: FaultProxy) -> None:
    options = {"read_timeout": 0.3, "reconnect_timeout": 0}
    connection = dulse.Connection(rabbitmq.url_of(port=proxy.port), transport_options=options)
    channel = connection.default_channel
    proxy.stall()
    began = monotonic()
    with pytest.raises(errors.DeadlineExceeded):
        channel.queue_declare("whatever")
    assert 0.3 <= monotonic() - began < 15
    proxy.cut()
    connection.close()


def test_a_publish_waits_for_room_as_long_as_write_timeout_says(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    options = {"write_timeout": 0.3, "reconnect_timeout": 0, "window_messages": 5}
    connection = dulse.Connection(rabbitmq.url_of(port=proxy.port), transport_options=options)
    connection.default_channel.queue_declare(name)
    producer = connection.Producer(routing_key=name)
    proxy.stall()
    began = monotonic()
    for _ in range(5):
        producer.publish(b"x")
    with pytest.raises(errors.DeadlineExceeded):
        producer.publish(b"x")
    assert 0.3 <= monotonic() - began < 15
    proxy.cut()
    with pytest.raises(errors.Unconfirmed):
        connection.close()
