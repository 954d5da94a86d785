"""After os.fork both sides go on: the child by connections of its own, the parent as if nothing had happened."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import PATIENCE, Meanwhile, taken
from tests.servers.rabbitmq import RabbitMQ

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

EACH = 1500


def forked(work: Callable[[], object]) -> int:
    """Do it in a child, which ends as hard as a worker that is killed: nothing is closed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - it must not run the parent's tests
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def assert_ends_well(child: int) -> None:
    until = monotonic() + PATIENCE
    while monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        sleep(0.05)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


def publish(connection: dulse.Connection, queue: str, who: str) -> None:
    producer = connection.Producer(routing_key=queue)
    for number in range(EACH):
        producer.publish(f"{who}:{number}".encode())
    producer.flush(PATIENCE)


def test_both_sides_publish_by_the_connection_that_was_open(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        connection.default_channel.queue_declare(name)
        connection.Producer(routing_key=name).publish(b"before")
        children = [forked(lambda who=number: publish(connection, name, f"child {who}")) for number in range(2)]  # type: ignore[misc]
        publish(connection, name, "parent")
        for child in children:
            assert_ends_well(child)
        publish(connection, name, "parent again")
    found = Counter(body.partition(b":")[0] for body in taken(rabbitmq.url, name))
    assert found == {b"before": 1} | dict.fromkeys((b"parent", b"parent again", b"child 0", b"child 1"), EACH)


def test_a_fork_while_another_thread_publishes(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        connection.default_channel.queue_declare(name)
        begun, forks = threading.Event(), 3

        def publish_for_long() -> None:
            for turn in range(forks + 2):
                publish(connection, name, f"thread {turn}")
                begun.set()

        with Meanwhile(publish_for_long):
            assert begun.wait(PATIENCE)
            for number in range(forks):
                assert_ends_well(forked(lambda who=number: publish(connection, name, f"child {who}")))  # type: ignore[misc]
    found = Counter(body.partition(b":")[0] for body in taken(rabbitmq.url, name))
    assert found.total() == (2 * forks + 2) * EACH
    assert set(found.values()) == {EACH}


def test_a_childs_end_and_close_leave_the_parents_consumer_alone(rabbitmq: RabbitMQ, name: str) -> None:
    found: list[bytes] = []

    def on_message(message: dulse.Message) -> None:
        found.append(message.body)
        message.ack()

    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.default_channel
        channel.queue_declare(name)
        channel.basic_consume(name, callback=on_message)
        assert_ends_well(forked(connection.close))
        channel.basic_publish(b"message", "", name)
        while not found:
            connection.drain_events(timeout=PATIENCE)
        assert found == [b"message"]
        assert channel.is_open


def test_a_child_does_not_settle_what_its_parent_received(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.default_channel
        channel.queue_declare(name)
        channel.basic_publish(b"message", "", name)
        channel.flush(PATIENCE)
        message = channel.basic_get(name)
        assert message is not None

        def settle() -> None:
            with suppress(errors.DulseError):
                message.ack()
            with dulse.Connection(rabbitmq.url) as own:
                assert own.default_channel.basic_get(name) is None

        assert_ends_well(forked(settle))
        message.requeue()
        again = channel.basic_get(name)
        assert again is not None
        assert again.body == b"message"
        again.ack()
