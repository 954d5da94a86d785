"""What the tests of the AMQP transport have in common: a broker, a queue of one's own, and a proxy before it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic, sleep

import pytest

import dulse
from dulse import errors
from dulse.testing.proxy import FaultProxy
from tests.servers.rabbitmq import RabbitMQ

PATIENCE = 60.0
"""Seconds that anything here may take on a machine under load."""


@pytest.fixture
def name(rabbitmq: RabbitMQ) -> Iterator[str]:
    """A name for a queue, which is deleted afterwards."""
    made = f"amqp-{secrets.token_hex(6)}"
    yield made
    rabbitmq.start()
    with dulse.Connection(rabbitmq.url) as connection, suppress(errors.ChannelError):
        connection.default_channel.queue_delete(made)


@pytest.fixture
def proxy(rabbitmq: RabbitMQ) -> Iterator[FaultProxy]:
    """A proxy before the broker."""
    with FaultProxy(rabbitmq.host, rabbitmq.port) as started:
        yield started


class Meanwhile:
    """Something done on another thread, which must succeed."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001 - raised again by the test's own thread
            self._failure = failure

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""
    end = monotonic() + PATIENCE
    while not is_so():
        assert monotonic() < end
        sleep(0.005)


def in_order_of_their_last_coming(numbers: list[int]) -> list[int]:
    """Give the numbers once each, in the order of where each came last."""
    return list(dict.fromkeys(reversed(numbers)))[::-1]


def taken(url: str, queue: str) -> list[bytes]:
    """Take all that is in a queue, acknowledged."""
    found = []
    with dulse.Connection(url) as connection:
        channel = connection.default_channel
        while (message := channel.basic_get(queue)) is not None:
            found.append(message.body)
            message.ack()
    return found
