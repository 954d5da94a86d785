"""A long life of lost connections leaves nothing behind."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

import dulse
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.conftest import PATIENCE
from tests.amqp_transport.test_restored import Reconnected
from tests.servers.rabbitmq import RabbitMQ

ROUNDS = 200


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
def test_reconnecting_again_and_again(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    observer = Reconnected()
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), observer=observer) as connection:
        channel = connection.default_channel
        queue = channel.queue_declare("", exclusive=True).queue
        found: list[bytes] = []

        def on_message(message: dulse.Message) -> None:
            found.append(message.body)
            message.ack()

        channel.basic_consume(queue, callback=on_message)

        def once(number: int) -> None:
            proxy.cut()
            observer.wait()
            found.clear()
            channel.basic_publish(str(number), "", queue)
            while not found:
                connection.drain_events(timeout=PATIENCE)

        for number in range(10):
            once(number)
        gc.collect()
        before = descriptors(), threading.active_count(), len(gc.get_objects())
        for number in range(ROUNDS):
            once(number)
        gc.collect()
        after = descriptors(), threading.active_count(), len(gc.get_objects())
    assert after[0] <= before[0] + 4  # the proxy's own come and go
    assert after[1] <= before[1] + 1
    assert after[2] - before[2] < ROUNDS  # less than one object a round stays
