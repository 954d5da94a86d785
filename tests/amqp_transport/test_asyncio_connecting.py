"""Opening an asyncio connection: over TLS, to one of several brokers, and clear errors where it cannot be done."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from dulse import errors
from dulse.aio import Connection, Queue
from dulse.testing.proxy import FaultProxy
from tests.servers.authority import Authority
from tests.servers.rabbitmq import RabbitMQ

IN_TIME = 2.0
"""Seconds for one attempt to connect in these tests."""


def trusting(rabbitmq: RabbitMQ, **more: Any) -> dict[str, Any]:
    return {"ca_certs": str(rabbitmq.authority.certificate), **more}


async def refused(url: str, kind: type[Exception], words: str, **options: Any) -> None:
    """See that connecting raises this, soon, and that nothing of the password is told."""
    began = time.monotonic()
    with pytest.raises(kind, match=words) as caught:
        await Connection(url, connect_timeout=IN_TIME, **options).connect()
    assert time.monotonic() - began < IN_TIME + 20
    assert "sesame" not in str(caught.value)


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[int]:
    """Listen; answer whatever comes with these bytes and end, or (None) say nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read(1)
        if answer is not None:
            writer.write(answer)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for writer in writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def test_tls_with_a_trusted_authority(rabbitmq: RabbitMQ) -> None:
    async with Connection(rabbitmq.tls_url, ssl=trusting(rabbitmq)) as connection:
        queue: Queue[Any] = Queue(exclusive=True, durable=False)(connection)
        await queue.declare()
        producer = connection.Producer(routing_key=queue.name)
        for _ in range(100):
            await producer.publish(b"x" * 200_000)
        await producer.flush()
        message = await queue.get()
        assert message is not None
        assert len(message.body) == 200_000


async def test_amqps_alone_checks_the_certificate(rabbitmq: RabbitMQ) -> None:
    await refused(rabbitmq.tls_url, errors.CertificateInvalid, "signed by nobody whom we trust")


async def test_ssl_true_is_tls_for_amqp_urls_too(rabbitmq: RabbitMQ) -> None:
    url = f"amqp://guest:sesame@localhost:{rabbitmq.tls_port}//"
    await refused(url, errors.CertificateInvalid, "signed by nobody", ssl=True)


async def test_a_certificate_for_another_name_is_refused(rabbitmq: RabbitMQ) -> None:
    told = trusting(rabbitmq, server_hostname="elsewhere.example")
    await refused(rabbitmq.tls_url, errors.CertificateInvalid, "for another name", ssl=told)


async def test_urls_may_say_what_tls_needs(rabbitmq: RabbitMQ) -> None:
    async with Connection(f"{rabbitmq.tls_url}?ssl_ca_certs={rabbitmq.authority.certificate}") as connection:
        await connection.connect()
        assert connection.connected


async def test_a_client_certificate_logs_in(rabbitmq: RabbitMQ, authority: Authority) -> None:
    rabbitmq.add_user("worker", "unused")
    rabbitmq.permit("worker", "/")
    ours = authority.issue("worker", hosts=[])
    told = trusting(rabbitmq, certfile=str(ours.certificate), keyfile=str(ours.key))
    url = f"amqps://localhost:{rabbitmq.tls_port}//"
    try:
        async with Connection(url, ssl=told, login_method="EXTERNAL") as connection:
            await connection.connect()
            assert connection.connected
    finally:
        rabbitmq.remove_user("worker")


async def test_a_plain_port_spoken_to_by_tls(rabbitmq: RabbitMQ) -> None:
    await refused(rabbitmq.url, errors.ProtocolError, "does not speak TLS", ssl=True)


async def test_a_tls_port_spoken_to_plainly(rabbitmq: RabbitMQ) -> None:
    url = f"amqp://guest:sesame@localhost:{rabbitmq.tls_port}//"
    await refused(url, errors.ConnectionError, "TLS")


async def test_a_wrong_password(rabbitmq: RabbitMQ) -> None:
    await refused(rabbitmq.url_of(password="sesame"), errors.AuthenticationFailed, "check user name and password")


async def test_an_unknown_virtual_host(rabbitmq: RabbitMQ) -> None:
    words = "no-such-host.*correct the last part of the URL"
    await refused(rabbitmq.url_of("no-such-host"), errors.VirtualHostRefused, words)


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        await refused(f"amqp://guest:sesame@127.0.0.1:{port}//", errors.ConnectionRefused, f"127.0.0.1:{port}")


async def test_a_name_that_nobody_knows() -> None:
    await refused("amqp://guest:sesame@no-such-host.invalid//", errors.ConnectionRefused, "no-such-host.invalid")


async def test_a_server_that_is_not_amqp() -> None:
    async with server(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") as port:
        await refused(f"amqp://guest:sesame@127.0.0.1:{port}//", errors.ProtocolError, "AMQP 0-9-1")


async def test_a_server_that_hangs_up() -> None:
    async with server(b"") as port:
        await refused(f"amqp://guest:sesame@127.0.0.1:{port}//", errors.ConnectionLost, "does it want TLS")


async def test_a_server_that_says_nothing() -> None:
    async with server(None) as port:
        await refused(f"amqp://guest:sesame@127.0.0.1:{port}//", errors.DeadlineExceeded, "does not answer in AMQP")


async def test_a_server_that_says_nothing_to_tls() -> None:
    async with server(None) as port:
        url = f"amqps://guest:sesame@127.0.0.1:{port}//"
        await refused(url, errors.DeadlineExceeded, "does not answer in TLS")


async def test_all_addresses_of_a_name_are_tried(rabbitmq: RabbitMQ) -> None:
    """Localhost is ::1 as well, where this broker may not listen."""
    async with Connection(f"amqp://guest:guest@localhost:{rabbitmq.port}//") as connection:
        await connection.connect()


async def test_the_next_host_is_tried_where_the_first_does_not_answer(rabbitmq: RabbitMQ) -> None:
    async with server(None) as port:
        url = f"amqp://guest:guest@127.0.0.1:{port},127.0.0.1:{rabbitmq.port}//"
        async with Connection(url, connect_timeout=IN_TIME) as connection:
            await connection.connect()


async def test_fail_over_takes_unconfirmed_messages_along(rabbitmq: RabbitMQ, name: str) -> None:
    """Two ways to one broker stand for two nodes of a cluster."""
    with FaultProxy(rabbitmq.host, rabbitmq.port) as one, FaultProxy(rabbitmq.host, rabbitmq.port) as other:
        url = f"amqp://guest:guest@127.0.0.1:{one.port},127.0.0.1:{other.port}//"
        async with Connection(url) as connection:
            queue: Queue[Any] = Queue(name)(connection)
            await queue.declare()
            producer = connection.Producer(routing_key=name)
            await asyncio.to_thread(one.stall)
            for number in range(10):
                await producer.publish(str(number).encode())
            await asyncio.to_thread(one.refuse)
            await asyncio.to_thread(one.cut)
            await producer.flush(30)
            assert other.connections == 1
            assert (await queue.queue_declare(passive=True)).message_count == 10


async def test_discarding_in_a_forked_child_sends_nothing(rabbitmq: RabbitMQ, proxy: FaultProxy) -> None:
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        link: Any = (await connection.channel()).transport_channel.link  # type: ignore[attr-defined]
        sent = proxy.bytes_to_server
        link.discard()
        await asyncio.sleep(0.1)
        assert proxy.bytes_to_server == sent
        assert link.wire is None
