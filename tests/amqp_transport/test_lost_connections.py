"""Whatever befalls the connection, nothing that was published or not acknowledged is lost."""

from __future__ import annotations

import threading

import pytest

import dulse
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.conftest import PATIENCE, Meanwhile, in_order_of_their_last_coming
from tests.servers.rabbitmq import RabbitMQ

WINDOW = 1000


def consumed(url: str, queue: str, wanted: set[int]) -> list[int]:
    """Consume until all of these have come."""
    found: list[int] = []
    missing = set(wanted)

    def on_message(message: dulse.Message) -> None:
        found.append(int(message.body))
        missing.discard(found[-1])
        message.ack()

    with (
        dulse.Connection(url) as connection,
        dulse.Consumer(connection, [dulse.Queue(queue, no_declare=True)], on_message=on_message, prefetch_count=500),
    ):
        while missing:
            connection.drain_events(timeout=PATIENCE)
    return found


def test_ten_resets_lose_nothing_that_is_published(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    total, resets = 20_000, 10
    go_on = threading.Semaphore(0)

    def cut() -> None:
        for _ in range(resets):
            assert go_on.acquire(timeout=PATIENCE)
            proxy.cut()

    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        with Meanwhile(cut):
            for number in range(total):
                if number % (total // resets) == 500:
                    go_on.release()
                producer.publish(str(number).encode())
        producer.flush(PATIENCE)

    came = consumed(rabbitmq.url, name, set(range(total)))
    assert len(came) - total <= resets * WINDOW


def test_resets_while_consuming_lose_nothing(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    total, resets, prefetch = 6000, 8, 20
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for number in range(total):
            producer.publish(str(number).encode())

    found: list[int] = []
    missing = set(range(total))

    def on_message(message: dulse.Message) -> None:
        found.append(int(message.body))
        missing.discard(found[-1])
        message.ack()
        if len(found) % (total // resets) == prefetch:
            proxy.cut()

    with (
        dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection,
        dulse.Consumer(
            connection, [dulse.Queue(name, no_declare=True)], on_message=on_message, prefetch_count=prefetch
        ),
    ):
        while missing:
            connection.drain_events(timeout=PATIENCE)

    assert len(found) - total <= (resets + 1) * prefetch


@pytest.mark.slow
def test_a_killed_broker_loses_nothing_that_is_published(rabbitmq: RabbitMQ, name: str) -> None:
    total = 20_000
    half = threading.Event()

    def kill() -> None:
        assert half.wait(PATIENCE)
        rabbitmq.kill()
        rabbitmq.start()

    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        rabbitmq.save_topology()
        rabbitmq.save_topology()
        with Meanwhile(kill):
            for number in range(total):
                if number == total // 2:
                    half.set()
                producer.publish(str(number).encode(), timeout=PATIENCE)
        producer.flush(PATIENCE)

    came = consumed(rabbitmq.url, name, set(range(total)))
    assert len(came) - total <= WINDOW


@pytest.mark.slow
def test_a_killed_broker_loses_nothing_that_is_consumed(rabbitmq: RabbitMQ, name: str) -> None:
    total = 10_000
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        rabbitmq.save_topology()
        for number in range(total):
            producer.publish(str(number).encode())
    rabbitmq.save_topology()

    found = 0
    missing = set(range(total))
    half = threading.Event()

    def kill() -> None:
        assert half.wait(PATIENCE)
        rabbitmq.kill()
        rabbitmq.start()

    def on_message(message: dulse.Message) -> None:
        nonlocal found
        found += 1
        if int(message.body) not in missing:
            assert message.delivery_info["redelivered"]
        missing.discard(int(message.body))
        message.ack()
        if found == total // 2:
            half.set()

    with (
        dulse.Connection(rabbitmq.url) as connection,
        dulse.Consumer(connection, [dulse.Queue(name, no_declare=True)], on_message=on_message, prefetch_count=100),
        Meanwhile(kill),
    ):
        while missing:
            connection.drain_events(timeout=PATIENCE)


def test_messages_come_again_in_order(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for number in range(3000):
            if number == 1500:
                proxy.cut()
            producer.publish(str(number).encode())
        producer.flush(PATIENCE)

    came = consumed(rabbitmq.url, name, set(range(3000)))
    # What the broker still had of the old connection may be stored between what came by the new one.
    assert in_order_of_their_last_coming(came) == list(range(3000))
