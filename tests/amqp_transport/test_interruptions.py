"""Exceptions from signal handlers, whenever they strike, tear no frame, lose nothing, and send nothing twice."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import dulse
from dulse import errors
from dulse.testing.proxy import Direction, FaultProxy
from tests.amqp_transport.conftest import PATIENCE, Meanwhile, until
from tests.servers.rabbitmq import RabbitMQ

PACKAGE = str(Path(dulse.__file__).parent)


class Interrupted(Exception):
    pass


@contextmanager
def interruptions(interval: float) -> Iterator[None]:
    """Raise again and again, in whatever code of the library runs then."""

    def strike(_number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
            raise Interrupted

    before = signal.signal(signal.SIGPROF, strike)
    signal.setitimer(signal.ITIMER_PROF, interval, interval)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def counted(url: str, queue: str) -> Counter[int]:
    found: Counter[int] = Counter()

    def on_message(message: dulse.Message) -> None:
        found[int(message.body.rstrip(b"."))] += 1

    with dulse.Connection(url) as connection:
        declared = dulse.Queue(queue, no_declare=True)
        ready = connection.default_channel.queue_declare(queue, passive=True).message_count
        with dulse.Consumer(connection, [declared], on_message=on_message, no_ack=True):
            while found.total() < ready:
                connection.drain_events(timeout=PATIENCE)
    return found


@pytest.mark.parametrize(("size", "total", "interval"), [(65536, 1000, 0.0005), (1024, 10_000, 0.0002)])
def test_interrupted_publishes(rabbitmq: RabbitMQ, name: str, size: int, total: int, interval: float) -> None:
    returned: set[int] = set()
    raised = 0
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        publish = channel.transport_channel.publish
        with interruptions(interval):
            for number in range(total):
                body = str(number).encode().ljust(size, b".")
                try:
                    publish(body, {"delivery_mode": 1}, "", name)
                    returned.add(number)
                except Interrupted:
                    raised += 1
        channel.flush(PATIENCE)
        reconnects = connection.transport.transport._link._line.reconnects  # type: ignore[attr-defined]
    found = counted(rabbitmq.url, name)
    assert raised > 0
    assert reconnects == 0
    assert returned <= found.keys()
    assert set(found.values()) == {1}


def test_a_signal_handler_may_publish(rabbitmq: RabbitMQ, name: str) -> None:
    outer = 5000
    numbers = count(outer)  # a handler may strike inside a handler
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        publish = channel.transport_channel.publish

        def strike(_number: int, _frame: FrameType | None) -> None:
            publish(str(next(numbers)).encode(), {}, "", name)

        before = signal.signal(signal.SIGPROF, strike)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
        try:
            for number in range(outer):
                publish(str(number).encode(), {}, "", name)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
        channel.flush(PATIENCE)
    found = counted(rabbitmq.url, name)
    total = next(numbers)
    assert total > outer
    assert found == Counter(range(total))


def test_a_handler_that_would_have_to_wait_inside_a_wait_is_told_so(rabbitmq: RabbitMQ, name: str) -> None:
    told: list[Exception] = []
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_declare(name)

        def strike(_number: int, _frame: FrameType | None) -> None:
            try:
                channel.queue_declare(name, passive=True)
            except errors.InvalidArgument as problem:
                told.append(problem)

        before = signal.signal(signal.SIGUSR1, strike)
        try:
            with pytest.raises(errors.DeadlineExceeded):
                raise_soon_and_drain(connection)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert channel.queue_declare(name, passive=True).queue == name
    assert len(told) == 1
    assert "signal handler" in str(told[0])


def test_a_handler_may_cancel_a_consumer_inside_a_wait(rabbitmq: RabbitMQ, name: str) -> None:
    # Celery's does, when a worker is to stop at once.
    received: list[dulse.Message] = []
    with dulse.Connection(rabbitmq.url) as connection, dulse.Connection(rabbitmq.url) as other:
        channel, witness = connection.channel(), other.channel()
        queue = dulse.Queue(name)
        consumer = dulse.Consumer(channel, [queue], on_message=received.append)
        consumer.consume()

        def strike(_number: int, _frame: FrameType | None) -> None:
            consumer.cancel()

        before = signal.signal(signal.SIGUSR1, strike)
        try:
            with pytest.raises(errors.DeadlineExceeded):
                raise_soon_and_drain(connection)
        finally:
            signal.signal(signal.SIGUSR1, before)
        until(lambda: witness.queue_declare(name, passive=True).consumer_count == 0)
        other.Producer().publish("for nobody", routing_key=name)
        witness.flush(PATIENCE)
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0.2)
        assert received == []
        consumer.consume()
        while not received:
            connection.drain_events(timeout=PATIENCE)
        assert received[0].payload == "for nobody"


def test_what_a_handler_publishes_beyond_the_room_of_the_socket_inside_a_wait_is_sent_once(
    rabbitmq: RabbitMQ, name: str
) -> None:
    body = b"x" * 7_000_000
    with dulse.Connection(rabbitmq.url, transport_options={"window_bytes": 64 * 1024 * 1024}) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        port: Any = channel.transport_channel

        def strike(_number: int, _frame: FrameType | None) -> None:
            port._line.room = 2 * len(body)  # the short way is open, and the socket will not take all
            port.publish(body, {}, "", name)

        before = signal.signal(signal.SIGUSR1, strike)
        try:
            with pytest.raises(errors.DeadlineExceeded):
                raise_soon_and_drain(connection)
        finally:
            signal.signal(signal.SIGUSR1, before)
        channel.flush(PATIENCE)
        assert channel.queue_declare(name, passive=True).message_count == 1


@pytest.mark.parametrize("stalled", Direction)
def test_what_comes_back_after_its_publisher_was_interrupted_is_told_of(
    rabbitmq: RabbitMQ, proxy: FaultProxy, stalled: Direction
) -> None:
    """Interrupted as it waits for room in the socket, or for the broker's answer."""
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), heartbeat=0) as connection:
        channel = connection.channel()
        port: Any = channel.transport_channel
        proxy.stall(stalled)

        def strike(_number: int, _frame: FrameType | None) -> None:
            raise Interrupted

        def interrupt() -> None:
            sent = int(stalled is Direction.TO_CLIENT)
            until(lambda: port.window.sent and port.is_sent(port.window.last) == sent and port._line.reader is not None)
            os.kill(os.getpid(), signal.SIGUSR1)

        before = signal.signal(signal.SIGUSR1, strike)
        try:
            with Meanwhile(interrupt), pytest.raises(Interrupted):
                channel.basic_publish(b"x" * 20_000_000, "", "no queue", mandatory=True)
        finally:
            signal.signal(signal.SIGUSR1, before)
        proxy.resume()
        with pytest.raises(errors.Unroutable):
            channel.flush(PATIENCE)


def raise_soon_and_drain(connection: dulse.Connection) -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    connection.drain_events(timeout=1.5)


def test_interrupted_consuming_loses_nothing(rabbitmq: RabbitMQ, name: str) -> None:
    total = 20_000
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.default_channel
        channel.queue_declare(name)
        for number in range(total):
            channel.basic_publish(str(number), "", name)
        channel.flush(PATIENCE)
    seen: set[int] = set()

    def on_message(message: dulse.Message) -> None:
        seen.add(int(message.body))
        message.ack()

    raised = 0
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.basic_qos(0, 100)
        channel.basic_consume(name, callback=on_message)
        with interruptions(0.0005):
            while len(seen) < total - 200 and raised < 20:  # each may keep one back until the channel is closed
                try:
                    connection.drain_events(timeout=PATIENCE)
                except Interrupted:
                    raised += 1
    assert raised > 0
    assert seen | set(counted(rabbitmq.url, name)) == set(range(total))
