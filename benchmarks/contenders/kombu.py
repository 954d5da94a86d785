"""Kombu, by the same calls."""

from __future__ import annotations

from typing import Any

from kombu import Connection, Consumer, Exchange, Producer, Queue

from benchmarks.measure import Contender


def one_by_one(
    url: str,
    body: Any,
    count: int,
    *,
    prefetch: int = 0,
    name: str = "kombu",
    options: dict[str, Any] | None = None,
) -> Contender:
    """Publish by `publish`, consume by `drain_events`, acknowledging each message."""
    connection = Connection(url, transport_options=options or {})
    queue = Queue("bench", Exchange("bench", type="direct"), routing_key="bench")
    producer = Producer(connection, exchange=queue.exchange, routing_key="bench")
    producer.maybe_declare(queue)

    def publish(number: int) -> None:
        for _ in range(number):
            producer.publish(body)

    def consume(number: int) -> None:
        got = 0

        def on_message(message: Any) -> None:
            nonlocal got
            got += 1
            message.ack()

        with Consumer(connection, [queue], on_message=on_message, prefetch_count=prefetch or None):
            while got < number:
                connection.drain_events(timeout=5)

    return Contender(name, {"publish": publish, "deliver + ack": consume}, connection.close, count)


def decoding(url: str, body: Any, count: int, *, name: str = "kombu") -> Contender:
    """Do the same with bodies that are encoded and decoded."""
    contender = one_by_one(url, body, count, name=name)
    connection = Connection(url)
    queue = Queue("bench", Exchange("bench", type="direct"), routing_key="bench")

    def consume(number: int) -> None:
        got = 0

        def callback(_payload: Any, message: Any) -> None:
            nonlocal got
            got += 1
            message.ack()

        with Consumer(connection, [queue], callbacks=[callback], accept=["json"]):
            while got < number:
                connection.drain_events(timeout=5)

    def close() -> None:
        connection.close()
        contender.close()

    return Contender(name, {**contender.works, "deliver + ack": consume}, close, count)
