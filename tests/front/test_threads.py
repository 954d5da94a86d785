"""One producer, used by several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from dulse.sync.connection import Connection
from dulse.sync.entity import Exchange, Queue


def test_threads_share_a_producer_from_its_first_message_on(url: str) -> None:
    threads, each = 8, 100
    start = Barrier(threads)
    exchange = Exchange("x", "fanout")
    with Connection(url) as connection:
        producer = connection.Producer(exchange=exchange)

        def work(number: int) -> None:
            start.wait(timeout=10)
            for index in range(each):
                producer.publish(f"{number}/{index}", declare=[Queue("q", exchange)])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        queue = Queue("q")(connection)
        bodies = []
        while (message := queue.get(no_ack=True)) is not None:
            bodies.append(message.payload)
    assert sorted(bodies) == sorted(f"{number}/{index}" for number in range(threads) for index in range(each))


def test_a_batch_is_its_threads_alone(url: str) -> None:
    with Connection(url) as connection, ThreadPoolExecutor(1) as pool:
        Queue("q")(connection).declare()
        producer = connection.Producer(routing_key="q")
        with producer.batch() as batch:
            producer.publish(b"1")
            pool.submit(producer.publish, b"2").result(timeout=10)
            assert len(batch) == 1
            assert Queue("q")(connection).purge() == 1
