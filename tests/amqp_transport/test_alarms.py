"""While the broker takes no messages, publishers wait; none is lost, and consumers go on."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from time import monotonic
from types import FrameType
from typing import Any

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import PATIENCE, Meanwhile, taken, until
from tests.amqp_transport.counting import counted
from tests.servers.rabbitmq import RabbitMQ

pytestmark = pytest.mark.slow


def publish_until_blocked(producer: dulse.Producer, total: int = 100_000) -> int:
    for number in range(total):
        try:
            producer.publish(str(number).encode())
        except errors.Blocked:
            return number
    raise AssertionError("nobody was blocked")


def test_a_publish_that_is_blocked_for_too_long_raises_and_was_not_sent(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url, transport_options={"blocked_timeout": 1}) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        with rabbitmq.memory_alarm():
            began = monotonic()
            sent = publish_until_blocked(producer)
            assert monotonic() - began > 1
        producer.publish(b"after", timeout=PATIENCE)
        producer.flush(PATIENCE)
    assert taken(rabbitmq.url, name) == [*(str(number).encode() for number in range(sent)), b"after"]


@pytest.mark.parametrize("lasting", [0, 15])
def test_publishers_wait_for_the_end_of_an_alarm(rabbitmq: RabbitMQ, name: str, lasting: float) -> None:
    total = 2000
    reasons: list[str] = []
    blocked, unblocked = threading.Event(), threading.Event()

    def on_blocked(reason: str) -> None:
        reasons.append(reason)
        blocked.set()

    options = {"on_blocked": on_blocked, "on_unblocked": unblocked.set}
    with dulse.Connection(rabbitmq.url, transport_options=options) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))

        def publish() -> None:
            for number in range(total):
                producer.publish(str(number).encode(), timeout=PATIENCE)

        with ExitStack() as stack:
            with rabbitmq.memory_alarm():
                stack.enter_context(Meanwhile(publish))
                assert blocked.wait(PATIENCE)
                assert not unblocked.wait(lasting)
            assert unblocked.wait(PATIENCE)
        producer.flush(PATIENCE)
    assert taken(rabbitmq.url, name) == [str(number).encode() for number in range(total)]
    assert reasons == ["low on memory"]


def test_consumers_acknowledge_during_an_alarm(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for number in range(100):
            producer.publish(str(number).encode())
        producer.flush(PATIENCE)
    found: list[bytes] = []

    def on_message(message: dulse.Message) -> None:
        found.append(message.body)
        message.ack()

    with dulse.Connection(rabbitmq.url) as connection, rabbitmq.memory_alarm():
        queue = dulse.Queue(name, no_declare=True)
        with dulse.Consumer(connection, [queue], on_message=on_message, prefetch_count=10):
            while len(found) < 100:
                connection.drain_events(timeout=PATIENCE)
    assert taken(rabbitmq.url, name) == []


def test_who_waits_during_an_alarm_does_not_look_all_the_time_whether_he_may_send(
    rabbitmq: RabbitMQ, name: str
) -> None:
    blocked = threading.Event()
    options = {"on_blocked": lambda _reason: blocked.set()}
    with dulse.Connection(rabbitmq.url, transport_options=options) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        port: Any = channel.transport_channel

        def strike(_number: int, _frame: FrameType | None) -> None:
            port.publish(b"of a handler", {}, "", name)  # which cannot wait, and leaves it to others

        def interrupt() -> None:
            until(lambda: port._line.reader is not None and port._line.leader == threading.main_thread().ident)
            os.kill(os.getpid(), signal.SIGUSR1)

        before = signal.signal(signal.SIGUSR1, strike)
        try:
            with rabbitmq.memory_alarm():
                channel.basic_publish("first", "", name)
                assert blocked.wait(PATIENCE)
                counting = counted(connection)
                with Meanwhile(interrupt), pytest.raises(errors.DeadlineExceeded):
                    connection.drain_events(timeout=3)
                calls = counting.calls
        finally:
            signal.signal(signal.SIGUSR1, before)
        channel.flush(PATIENCE)
    assert calls <= 100  # some for each half of a second; without rest they are thousands
    assert taken(rabbitmq.url, name) == [b"first", b"of a handler"]
