"""dulse's blocking API."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import Contender
from dulse import Connection, Consumer, Exchange, Producer, Queue

BATCH = 100


def one_by_one(url: str, body: Any, count: int, *, prefetch: int = 0, name: str = "dulse") -> Contender:
    """Publish by `publish`, consume by `drain_events`, acknowledging each message."""
    connection = Connection(url)
    queue = Queue("bench", Exchange("bench", type="direct"), routing_key="bench")
    producer = Producer(connection, exchange=queue.exchange, routing_key="bench")
    producer.maybe_declare(queue)

    def publish(number: int) -> None:
        for _ in range(number):
            producer.publish(body)

    def consume(number: int) -> None:
        with Consumer(connection, [queue], on_message=lambda message: message.ack(), prefetch_count=prefetch or None):
            for _ in range(number):
                connection.drain_events(timeout=5)

    return Contender(name, {"publish": publish, "deliver + ack": consume}, connection.close, count)


def decoding(url: str, body: Any, count: int, *, name: str = "dulse") -> Contender:
    """Do the same with bodies that are encoded and decoded."""
    contender = one_by_one(url, body, count, name=name)
    connection = Connection(url)
    queue = Queue("bench", Exchange("bench", type="direct"), routing_key="bench")

    def consume(number: int) -> None:
        with Consumer(connection, [queue], callbacks=[lambda _payload, message: message.ack()], accept=["json"]):
            for _ in range(number):
                connection.drain_events(timeout=5)

    def close() -> None:
        connection.close()
        contender.close()

    return Contender(name, {**contender.works, "deliver + ack": consume}, close, count)


def in_batches(url: str, body: Any, count: int, *, name: str = "dulse") -> Contender:
    """Publish by `publish_many`, and consume ahead."""
    contender = one_by_one(url, body, count, prefetch=BATCH, name=name)
    connection = Connection(url)
    producer = Producer(connection, exchange=Exchange("bench", type="direct"), routing_key="bench")

    def publish(number: int) -> None:
        for _ in range(number // BATCH):
            producer.publish_many([body] * BATCH)

    def close() -> None:
        connection.close()
        contender.close()

    return Contender(name, {"publish": publish, "deliver + ack": contender.works["deliver + ack"]}, close, count)
