"""Threads that share a connection, a channel and a producer lose nothing and wait for nobody for ever."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from dulse import Connection, Message, Queue, errors

THREADS = 64
EACH = 50
QUEUE = Queue("work")


def in_threads(number: int, work: Callable[[int], object]) -> None:
    """Run `work(0)` … in threads of their own, and raise what any of them raised."""
    failures: list[BaseException] = []
    start = threading.Barrier(number)

    def run(place: int) -> None:
        try:
            start.wait(30)
            work(place)
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread of the test
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(45)
    assert not any(thread.is_alive() for thread in threads), "some threads hang"
    if failures:
        raise failures[0]


def everything_in(connection: Connection) -> Counter[Any]:
    queue = QUEUE(connection.channel())
    found: Counter[Any] = Counter()
    while (message := queue.get(no_ack=True)) is not None:
        found[message.payload] += 1
    return found


ALL = Counter(place * EACH + number for place in range(THREADS) for number in range(EACH))


def test_64_threads_publish_by_one_producer(url: str) -> None:
    with Connection(url) as connection:
        QUEUE(connection).declare()
        producer = connection.Producer()

        def publish(place: int) -> None:
            for number in range(EACH):
                producer.publish(place * EACH + number, routing_key="work")

        in_threads(THREADS, publish)

        assert everything_in(connection) == ALL


def test_64_threads_share_a_connection_that_none_of_them_has_opened(url: str) -> None:
    with Connection(url) as connection:

        def publish(place: int) -> None:
            channel = connection.channel()
            QUEUE(channel).declare()
            producer = connection.Producer(channel)
            for number in range(EACH):
                producer.publish(place * EACH + number, routing_key="work")
            channel.close()

        in_threads(THREADS, publish)

        assert everything_in(connection) == ALL


def test_64_threads_get_and_settle_on_one_channel(url: str) -> None:
    with Connection(url) as connection:
        channel = connection.channel()
        queue = QUEUE(channel)
        queue.declare()
        connection.Producer(channel).publish_many(ALL, routing_key="work")
        seen: list[Any] = []

        def get(_: int) -> None:
            while (message := queue.get()) is not None:
                seen.append(message.payload)
                message.ack()

        in_threads(THREADS, get)
        channel.flush()

        assert Counter(seen) == ALL
        (status,) = connection.manager.queues("work")
        assert (status.ready, status.leased) == (0, 0)


@pytest.mark.parametrize("prefetch", [1, 10, 0])
def test_8_threads_drain_one_connection(url: str, prefetch: int) -> None:
    with Connection(url) as connection:
        channel = connection.channel()
        QUEUE(channel).declare()
        connection.Producer(channel).publish_many(ALL, routing_key="work")
        seen: list[Any] = []

        def on_message(message: Message[Any]) -> None:
            seen.append(message.payload)
            message.ack()

        connection.Consumer(QUEUE, channel, on_message=on_message, prefetch_count=prefetch).consume()

        def drain(_: int) -> None:
            while len(seen) < len(ALL):
                try:
                    connection.drain_events(timeout=0.05)
                except errors.DeadlineExceeded:
                    continue

        in_threads(8, drain)
        channel.flush()

        assert Counter(seen) == ALL
        (status,) = connection.manager.queues("work")
        assert (status.ready, status.leased) == (0, 0)


def test_threads_that_publish_consume_and_close_channels_do_not_disturb_each_other(url: str) -> None:
    with Connection(url) as connection:
        QUEUE(connection).declare()
        done = threading.Event()
        seen: list[Any] = []

        def work(place: int) -> None:
            if place < 8:
                for number in range(EACH):
                    channel = connection.channel()
                    connection.Producer(channel).publish(place * EACH + number, routing_key="work")
                    channel.close()
                return
            while not done.is_set():
                channel = connection.channel()
                message = QUEUE(channel).get()
                if message is not None:
                    seen.append(message.payload)
                    message.ack()
                channel.close()
                if len(seen) >= 8 * EACH:
                    done.set()

        in_threads(16, work)

        assert Counter(seen) == Counter(range(8 * EACH))
