"""A caller's mistake is told in clear words, and closes no channel but at most its own."""

from __future__ import annotations

import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import PATIENCE, taken
from tests.servers.authority import Authority, Credentials
from tests.servers.rabbitmq import RabbitMQ

LONG = "n" * 256


@contextmanager
def tls_server(credentials: Credentials) -> Iterator[str]:
    """The URL of a server that shakes hands, over and over, with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credentials.certificate, credentials.key)
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    link, _ = door.accept()
                    with suppress(OSError), context.wrap_socket(link, server_side=True) as secure:
                        secure.recv(8)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"amqps://localhost:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def assert_certificate_is_refused(url: str, trusted: Path, words: str) -> None:
    with pytest.raises(errors.CertificateInvalid, match=words):
        dulse.Connection(url, ssl={"ca_certs": str(trusted)}).connect()


def test_a_certificate_that_has_expired(authority: Authority) -> None:
    with tls_server(authority.issue("expired", days=-1)) as url:
        assert_certificate_is_refused(url, authority.certificate, "expired")


def test_a_certificate_for_another_host(authority: Authority) -> None:
    with tls_server(authority.issue("elsewhere", hosts=["DNS:elsewhere.example"])) as url:
        assert_certificate_is_refused(url, authority.certificate, "localhost")


def test_a_certificate_of_somebody_elses_authority(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger", "somebody else")
    assert_certificate_is_refused(rabbitmq.tls_url, stranger.certificate, "(?i)sign|issuer|authority")


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, uuid.UUID(int=1), {1, 2}, object(), {"k" * 256: 1}, {"deep": {1: 2}}, LOOP, "\ud800", 1 + 2j],
    ids=[
        "too large",
        "too small",
        "uuid",
        "set",
        "object",
        "long key",
        "key of a number",
        "loop",
        "surrogate",
        "complex",
    ],
)
def test_a_header_that_no_table_carries(rabbitmq: RabbitMQ, name: str, value: object) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        channel = connection.default_channel
        with pytest.raises(errors.EncodeError, match="culprit"):
            producer.publish(b"bad", headers={"culprit": value})
        assert channel.is_open
        producer.publish(b"good", headers={"culprit": "none"})
        producer.flush(PATIENCE)
        message = channel.basic_get(name)
        assert message is not None
        assert message.body == b"good"
        message.ack()


@contextmanager
def largest_message(broker: RabbitMQ, size: int) -> Iterator[None]:
    """Have the broker refuse longer ones, on channels that are opened from now on."""
    broker.ctl("eval", f"application:set_env(rabbit, max_message_size, {size}).")
    try:
        yield
    finally:
        broker.ctl("eval", "application:set_env(rabbit, max_message_size, 134217728).")


def test_a_body_over_the_brokers_limit_fails_alone(rabbitmq: RabbitMQ, name: str) -> None:
    with largest_message(rabbitmq, 1000), dulse.Connection(rabbitmq.url) as connection:
        channel = connection.default_channel
        channel.queue_declare(name)
        for size in (10, 1001, 20):
            channel.basic_publish(b"x" * size, "", name)
        with pytest.raises(errors.PreconditionFailed, match="a message of 1001 bytes"):
            channel.flush(PATIENCE)
        assert channel.is_open
    assert {len(body) for body in taken(rabbitmq.url, name)} == {10, 20}


def mistakes(name: str) -> dict[str, tuple[Callable[[dulse.Channel], object], type[Exception], int, str]]:
    """What callers get wrong, and what the broker says to it: error, code and method."""

    def settle_twice(channel: dulse.Channel) -> None:
        channel.basic_ack(4711)
        channel.queue_declare(name, passive=True)

    def declare_otherwise(channel: dulse.Channel) -> None:
        channel.queue_declare(name, durable=True, arguments={"x-max-length": 7})

    return {
        "missing": (lambda it: it.queue_declare(f"{name}-no", passive=True), errors.NotFound, 404, "queue.declare"),
        "no source": (lambda it: it.queue_bind(name, f"{name}-no", ""), errors.NotFound, 404, "queue.bind"),
        "consume": (lambda it: it.basic_consume(f"{name}-no", callback=print), errors.NotFound, 404, "basic.consume"),
        "get": (lambda it: it.basic_get(f"{name}-no"), errors.NotFound, 404, "basic.get"),
        "otherwise": (declare_otherwise, errors.PreconditionFailed, 406, "queue.declare"),
        "reserved": (lambda it: it.queue_declare("amq.mine"), errors.AccessRefused, 403, "queue.declare"),
        "kind": (lambda it: it.exchange_declare(name, "no-such-type"), errors.DulseError, 0, ""),
        "settled twice": (settle_twice, errors.PreconditionFailed, 406, "basic.ack"),
    }


@pytest.mark.parametrize("mistake", mistakes(""))
def test_a_mistake_closes_no_channel_of_others_and_says_why(rabbitmq: RabbitMQ, name: str, mistake: str) -> None:
    call, error, code, method = mistakes(name)[mistake]
    found: list[bytes] = []
    with dulse.Connection(rabbitmq.url) as connection:
        other = connection.channel()
        other.queue_declare(name)
        other.basic_consume(name, no_ack=True, callback=lambda message: found.append(message.body))
        channel = connection.channel()
        with pytest.raises(error) as caught:
            call(channel)
        if code:
            told: Any = caught.value
            assert (told.code, told.method) == (code, method)
        other.basic_publish(b"message", "", name)
        while not found:
            connection.drain_events(timeout=PATIENCE)
        assert connection.channel().queue_declare(name, passive=True).queue == name


def test_a_closed_channel_that_is_used_again_says_why_it_was_closed(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        with pytest.raises(errors.NotFound):
            channel.queue_declare(f"{name}-missing", passive=True)
        assert not channel.is_open
        for use in (
            lambda: channel.queue_declare(name),
            lambda: channel.basic_publish(b"", "", name),
            lambda: channel.basic_get(name),
            lambda: channel.basic_consume(name, callback=print),
        ):
            with pytest.raises(errors.ChannelError, match=r"(?s)404.*missing"):
                use()
        channel.close()
        assert connection.channel().queue_declare(name).queue == name
