"""Threads share connections, channels and producers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue

import dulse
from tests.amqp_transport.conftest import PATIENCE, Meanwhile
from tests.servers.rabbitmq import RabbitMQ

THREADS = 64


def at_once(work: Callable[[int], object]) -> None:
    with ExitStack() as stack:
        for number in range(THREADS):
            stack.enter_context(Meanwhile(partial(work, number)))


def test_threads_publish_by_one_producer_and_each_keeps_its_order(rabbitmq: RabbitMQ, name: str) -> None:
    each = 200
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))

        def publish(thread: int) -> None:
            for number in range(each):
                producer.publish(f"{thread}:{number}".encode())

        at_once(publish)
        producer.flush(PATIENCE)
        found: dict[int, list[int]] = {thread: [] for thread in range(THREADS)}

        def on_message(message: dulse.Message) -> None:
            thread, _, number = message.body.partition(b":")
            found[int(thread)].append(int(number))
            message.ack()

        queue = dulse.Queue(name, no_declare=True)
        with dulse.Consumer(connection, [queue], on_message=on_message, prefetch_count=500):
            while sum(map(len, found.values())) < THREADS * each:
                connection.drain_events(timeout=PATIENCE)
    assert all(numbers == list(range(each)) for numbers in found.values())


def test_threads_call_the_broker_on_channels_of_one_connection(rabbitmq: RabbitMQ) -> None:
    with dulse.Connection(rabbitmq.url) as connection:

        def call(_thread: int) -> None:
            channel = connection.channel()
            for _ in range(10):
                queue = channel.queue_declare("", exclusive=True).queue
                channel.basic_publish(b"message", "", queue)
                channel.flush(PATIENCE)
                message = channel.basic_get(queue)
                assert message is not None
                message.ack()
            channel.close()

        at_once(call)


def test_threads_acknowledge_what_another_one_drains(rabbitmq: RabbitMQ, name: str) -> None:
    total, workers = 2000, 4
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for number in range(total):
            producer.publish(str(number).encode())
        drained: SimpleQueue[dulse.Message | None] = SimpleQueue()

        def settle() -> None:
            while (message := drained.get(timeout=PATIENCE)) is not None:
                message.ack()

        queue = dulse.Queue(name, no_declare=True)
        with ExitStack() as stack:
            stack.enter_context(dulse.Consumer(connection, [queue], on_message=drained.put, prefetch_count=100))
            for _ in range(workers):
                stack.enter_context(Meanwhile(settle))
            for _ in range(total):
                connection.drain_events(timeout=PATIENCE)
            for _ in range(workers):
                drained.put(None)
    with dulse.Connection(rabbitmq.url) as connection:
        assert connection.default_channel.basic_get(name) is None
