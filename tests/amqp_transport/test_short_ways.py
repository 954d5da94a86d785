"""The ways of messages are short: exact counts of calls and of system calls, which no busy machine can change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import pytest

import dulse
from dulse.links.blocking.link import Link
from dulse.links.blocking.stream import LONG_READ_SIZE, READ_SIZE
from tests.amqp_transport.conftest import PATIENCE, Meanwhile
from tests.amqp_transport.counting import counted
from tests.servers.rabbitmq import RabbitMQ

PACKAGE = str(Path(dulse.__file__).parent)


def calls_of(work: Callable[[], object]) -> int:
    """Count the calls of Python and C functions."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count - 2  # `work` itself, and the end of counting


def test_a_publish_takes_few_calls(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        producer.publish(b"first")
        producer.flush()
        counts = [calls_of(lambda: producer.publish(b"message")) for _ in range(20)]
        assert min(counts) <= 25


def test_a_consumed_message_takes_few_calls(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for _ in range(1000):
            producer.publish(b"message")
        producer.flush()
        queue = dulse.Queue(name, no_declare=True)
        with dulse.Consumer(connection, [queue], on_message=lambda message: message.ack(), prefetch_count=1000):
            connection.drain_events(timeout=PATIENCE)
            counts = [calls_of(lambda: connection.drain_events(timeout=PATIENCE)) for _ in range(900)]
        assert sorted(counts)[len(counts) // 2] <= 30 - 6  # the reading, 6 calls a message, is done for many at once


def test_a_publish_takes_one_system_call(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        counting = counted(connection)
        for _ in range(5000):
            producer.publish(b"x" * 100)
        assert counting.calls / 5000 <= 1.1


@pytest.mark.parametrize("prefetch", [1000])
def test_a_consumed_message_takes_a_fraction_of_a_system_call(rabbitmq: RabbitMQ, name: str, prefetch: int) -> None:
    total = 5000
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for _ in range(total):
            producer.publish(b"x" * 100)
        producer.flush()
        counting = counted(connection)
        queue = dulse.Queue(name, no_declare=True)
        with dulse.Consumer(connection, [queue], on_message=lambda message: message.ack(), prefetch_count=prefetch):
            for _ in range(total):
                connection.drain_events(timeout=PATIENCE)
        # How many messages come in one read is the broker's affair: at most 4 calls for each read that brought some.
        reads = connection.transport.transport._link._line.reads  # type: ignore[attr-defined]
        assert counting.calls <= 4 * reads


def test_a_consumed_message_takes_at_most_a_fifth_of_a_system_call(rabbitmq: RabbitMQ, name: str) -> None:
    """Where the broker has sent all that it may, so that it is not its pace that is counted."""
    total = 1000
    with dulse.Connection(rabbitmq.url) as connection, dulse.Connection(rabbitmq.url) as other:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for _ in range(total):
            producer.publish(b"x" * 100)
        producer.flush()
        queue = dulse.Queue(name, no_declare=True)
        with dulse.Consumer(connection, [queue], on_message=lambda message: message.ack(), prefetch_count=total):
            until = monotonic() + PATIENCE
            while other.default_channel.queue_declare(name, passive=True).message_count:
                assert monotonic() < until
            counting = counted(connection)
            for _ in range(total):
                connection.drain_events(timeout=PATIENCE)
            assert counting.calls <= total * 0.2


@pytest.mark.parametrize(("size", "asked"), [(100, READ_SIZE), (4_000_000, LONG_READ_SIZE)])
def test_more_is_read_at_once_in_the_middle_of_a_long_message(
    rabbitmq: RabbitMQ, name: str, size: int, asked: int
) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        counting = counted(connection)
        with dulse.Consumer(connection, [dulse.Queue(name)], on_message=lambda message: message.ack()):
            producer.publish(b"x" * size)
            connection.drain_events(timeout=PATIENCE)
        assert max(each for each in counting.arguments if isinstance(each, int)) == asked


def test_a_publish_that_waits_for_its_confirm_takes_three_system_calls(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url, transport_options={"confirm_publish": True}) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        producer.publish(b"first")
        counting = counted(connection)
        taken = []
        for _ in range(20):
            before = counting.calls
            producer.publish(b"message")
            taken.append(counting.calls - before)
        assert min(taken) <= 3  # to send, to wait, to read


def test_what_nobody_confirms_is_not_kept_once_it_is_sent(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url, transport_options={"confirm_publish": "off"}) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        port: Any = channel.transport_channel
        for number in range(1, 101):
            channel.basic_publish(b"x" * 1024, "", name)
            if port._line.room >= 0:  # else the socket was full, or the keeper has come
                assert (port.window.entries, port.window.last) == ([], number)
        channel.flush(PATIENCE)
        end = monotonic() + PATIENCE  # a broker may count before it has put in all that it has read
        while channel.queue_declare(name, passive=True).message_count < 100:
            assert monotonic() < end


def test_acknowledgements_of_another_thread_go_out_many_at_once_while_one_waits(rabbitmq: RabbitMQ, name: str) -> None:
    total = 400
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for _ in range(total):
            producer.publish(b"message")
        producer.flush()
        held: list[dulse.Message] = []
        queue = dulse.Queue(name, no_declare=True)
        with dulse.Consumer(connection, [queue], on_message=held.append, prefetch_count=total + 1):
            while len(held) < total:
                connection.drain_events(timeout=PATIENCE)
            counting = counted(connection)
            link: Link = connection.transport.transport._link  # type: ignore[attr-defined]
            with Meanwhile(lambda: connection.drain_events(timeout=PATIENCE)):
                until = monotonic() + PATIENCE
                while link._line.reader is None:
                    assert monotonic() < until
                for message in held:
                    message.ack()
                calls = counting.calls
                producer.publish(b"last")  # which ends the drain
            held[-1].ack()
            connection.transport.transport.flush(PATIENCE)
        assert calls <= total / 4
    with dulse.Connection(rabbitmq.url) as connection:
        assert connection.default_channel.queue_declare(name, passive=True).message_count == 0
