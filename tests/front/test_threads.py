"""One Connection in the hands of many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dulse import Connection, Queue, connections, errors, producers
from dulse.sync import pools

THREADS = 64


def in_threads(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """Call `work` in so many threads that begin together, and give what they return."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait(10)
        return work(number)

    with ThreadPoolExecutor(count) as executor:
        return list(executor.map(run, range(count)))


def drained(connection: Connection, queue: Queue) -> list[Any]:
    """Take everything out of a queue."""
    bound, payloads = queue(connection), []
    while (message := bound.get(no_ack=True)) is not None:
        payloads.append(message.payload)
    return payloads


@pytest.mark.parametrize("shared", ["connection", "channel", "producer"])
def test_threads_publish_through_one(url: str, shared: str) -> None:
    queue: Queue = Queue("tasks")
    with Connection(url) as connection:
        queue(connection).declare()
        channel = connection.channel()
        producer = connection.Producer(routing_key="tasks")

        def publish(thread: int) -> None:
            mine = producer
            if shared != "producer":
                mine = (connection if shared == "connection" else channel).Producer(routing_key="tasks")
            for number in range(20):
                mine.publish([thread, number], declare=[queue])

        in_threads(publish)
        got = drained(connection, queue)
    assert sorted(got) == [[thread, number] for thread in range(THREADS) for number in range(20)]
    for thread in range(THREADS):
        assert [number for owner, number in got if owner == thread] == list(range(20))


def test_threads_that_want_the_default_channel_at_once_get_the_same(url: str) -> None:
    with Connection(url) as connection:
        channels = in_threads(lambda _: connection.default_channel)
        assert len(set(map(id, channels))) == 1
        assert len(connection.transport.channels) == 1


def test_threads_drain_and_each_message_goes_to_one_of_them(url: str) -> None:
    queue: Queue = Queue("tasks")
    got: list[int] = []
    with Connection(url) as connection:
        with connection.Producer(routing_key="tasks") as producer:
            producer.publish_many(range(500), declare=[queue])

        def collect(body: int, message: Any) -> None:
            got.append(body)
            message.ack()

        def drain(_: int) -> int:
            count = 0
            while len(got) < 500:
                try:
                    connection.drain_events(timeout=0.05)
                except errors.DeadlineExceeded:
                    continue
                count += 1
            return count

        with connection.Consumer(queue, callbacks=[collect], prefetch_count=50):
            assert sum(in_threads(drain, 8)) == 500
    assert sorted(got) == list(range(500))


def test_pools_keep_their_limit_whatever_threads_do(url: str) -> None:
    connection = Connection(url)
    queue: Queue = Queue("tasks")
    pool = producers[connection]
    pool.limit = 5
    out: list[int] = []
    most: list[int] = []

    def work(thread: int) -> None:
        for number in range(3):
            with pool.acquire(block=True, timeout=60) as producer:
                out.append(thread)
                most.append(len(out))
                producer.publish([thread, number], routing_key="tasks", declare=[queue])
                out.remove(thread)

    in_threads(work, 200)
    assert max(most) <= 5
    with connections[connection].acquire() as member:
        assert len(drained(member, queue)) == 600
    pools.reset()


def test_closing_ends_what_other_threads_wait_for(url: str) -> None:
    connection = Connection(url)
    connection.connect()
    waiting = threading.Event()

    def drain() -> type[Exception] | None:
        waiting.set()
        try:
            connection.drain_events(timeout=30)
        except errors.ConnectionClosed as closed:
            return type(closed)
        return None

    with ThreadPoolExecutor(1) as executor:
        drained = executor.submit(drain)
        assert waiting.wait(10)
        connection.close()
        assert drained.result(10) is errors.ConnectionClosed
