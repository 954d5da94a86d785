"""The way back to a broker, when it is long or what comes on it is noise."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

import pytest

import dulse
from dulse import errors
from dulse.aio import Connection
from dulse.testing.proxy import Direction, FaultProxy
from tests.amqp_transport.conftest import PATIENCE, Meanwhile, taken
from tests.servers.rabbitmq import PortMapper, RabbitMQ

NOISE = b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4


class Babbler:
    """Listens like a broker, and answers everybody with what is no AMQP."""

    def __init__(self) -> None:
        self.answered = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._babble)
        self._thread.start()

    def _babble(self) -> None:
        while True:
            try:
                link, _ = self._listening.accept()
            except OSError:
                return
            with link:
                link.sendall(NOISE)
                link.recv(100)
            self.answered += 1

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(PATIENCE)


def babble_meanwhile(proxy: FaultProxy) -> None:
    """Have a babbler in place of the broker until it has answered three times."""
    broker = proxy.target
    babbler = Babbler()
    proxy.target = "127.0.0.1", babbler.port
    proxy.cut()
    until = monotonic() + PATIENCE
    while babbler.answered < 3 and monotonic() < until:
        sleep(0.01)
    babbler.stop()
    proxy.target = broker


def test_noise_in_place_of_the_broker_is_waited_out(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        transport = connection.transport
        with Meanwhile(lambda: babble_meanwhile(proxy)):
            for number in range(200):
                producer.publish(b"%d" % number, timeout=PATIENCE)
                sleep(0.002)
        producer.flush(PATIENCE)
        assert connection.transport is transport
    assert set(taken(rabbitmq.url, name)) == {b"%d" % number for number in range(200)}


def test_noise_in_place_of_the_broker_is_waited_out_with_asyncio(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async def publish() -> None:
        async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
            producer = connection.Producer(routing_key=name)
            await (await connection.default_channel).queue_declare(name)
            with Meanwhile(lambda: babble_meanwhile(proxy)):
                for number in range(200):
                    await producer.publish(b"%d" % number, timeout=PATIENCE)
                    await asyncio.sleep(0.002)
                await producer.flush(PATIENCE)

    asyncio.run(publish())
    assert set(taken(rabbitmq.url, name)) == {b"%d" % number for number in range(200)}


def test_noise_during_a_recheck_is_not_taken_for_the_brokers_verdict(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    failed: list[tuple[bytes, Exception]] = []
    options = {"on_unconfirmed": lambda message, error: failed.append((message.body, error))}
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), transport_options=options) as connection:
        channel = connection.default_channel
        channel.queue_declare(name)
        port: Any = channel.transport_channel
        proxy.slow(20_000, Direction.TO_SERVER)
        for number in range(40):
            port.publish(b"%d" % number, {}, "missing" if number == 20 else "", name)
        until = monotonic() + PATIENCE
        while port.recheck is None:
            assert monotonic() < until
            sleep(0.001)
        proxy.garbage(NOISE)
        proxy.resume()
        with pytest.raises(errors.NotFound, match="missing"):
            connection.transport.transport.flush(PATIENCE)
    assert [(body, type(error)) for body, error in failed] == [(b"20", errors.NotFound)]
    assert set(taken(rabbitmq.url, name)) == {b"%d" % number for number in range(40) if number != 20}


@pytest.fixture
def smaller(rabbitmq: RabbitMQ) -> Iterator[RabbitMQ]:
    """A broker that wants smaller frames."""
    mapper = PortMapper(rabbitmq.installation)
    settings = ["frame_max = 8192"]
    node = RabbitMQ(rabbitmq.installation, mapper, rabbitmq.authority, name="smaller", settings=settings)
    node.start()
    yield node
    node.kill()
    mapper.kill()


def test_a_recheck_goes_on_at_a_broker_that_wants_smaller_frames(
    rabbitmq: RabbitMQ, smaller: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    with dulse.Connection(smaller.url) as connection:
        connection.default_channel.queue_declare(name)
    url = f"{rabbitmq.url_of(port=proxy.port)};{smaller.url}"
    failed: list[bytes] = []
    options = {"on_unconfirmed": lambda message, _error: failed.append(message.body[:4])}
    with dulse.Connection(url, transport_options=options) as connection:
        channel = connection.default_channel
        channel.queue_declare(name)
        port: Any = channel.transport_channel
        proxy.slow(200_000, Direction.TO_SERVER)
        for number in range(20):
            port.publish(b"%04d" % number * 5000, {}, "missing" if number == 10 else "", name)
        until = monotonic() + PATIENCE
        while port.recheck is None:
            assert monotonic() < until
            sleep(0.001)
        proxy.refuse()
        proxy.cut()
        with pytest.raises(errors.NotFound, match="missing"):
            connection.transport.transport.flush(PATIENCE)
        producer = connection.Producer(routing_key=name)
        producer.publish(b"0020" * 5000)
        producer.flush(PATIENCE)
    assert failed == [b"0010"]
    came = {body[:4] for body in (*taken(smaller.url, name), *taken(rabbitmq.url, name))}
    assert came == {b"%04d" % number for number in range(21) if number != 10}


def test_a_flush_waits_until_acknowledgements_are_taken(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        connection.default_channel.queue_declare(name)
        for number in range(50):
            connection.Producer(routing_key=name).publish(b"%d" % number)
    connection = dulse.Connection(rabbitmq.url_of(port=proxy.port), transport_options={"reconnect_timeout": 0})
    channel = connection.default_channel
    messages = [channel.basic_get(name) for _ in range(50)]
    proxy.slow(500, Direction.TO_SERVER)
    for message in reversed(messages):  # a frame each
        assert message is not None
        message.ack()
    connection.transport.transport.flush(PATIENCE)
    proxy.cut()
    connection.close()
    assert taken(rabbitmq.url, name) == []


def test_ensure_connection_waits_for_a_link_that_is_being_replaced(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    told: list[Exception] = []
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), connect_timeout=0.5) as connection:
        connection.default_channel.queue_declare(name)
        transport = connection.transport
        proxy.refuse()
        proxy.cut()

        def go_on(problem: Exception, _seconds: float) -> None:
            told.append(problem)
            proxy.resume()

        connection.ensure_connection(go_on, interval_start=0.1, interval_step=0.1, timeout=PATIENCE)
        assert connection.transport is transport
    assert {type(each) for each in told} == {errors.Reconnecting}
