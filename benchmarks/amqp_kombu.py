"""Kombu (py-amqp) on AMQP, with a client process to itself."""

from __future__ import annotations

import time
from typing import Any

from kombu import Connection, Consumer, Queue

from benchmarks.amqp_side import QUEUE, Side


def opened(url: str, confirms: str) -> Side:
    """Open it; `confirms` other than "each" are off, as it has no pipelined ones."""
    connection = Connection(url, transport_options={"confirm_publish": confirms == "each"})
    queue = Queue(QUEUE)(connection.default_channel)
    queue.declare()
    queue.purge()
    producer = connection.Producer(routing_key=QUEUE)

    def publish(body: Any) -> None:
        producer.publish(body, delivery_mode=1)

    def settle() -> None:
        queue.queue_declare()

    def consume(count: int, prefetch: int, no_ack: bool) -> None:
        got = 0

        def on_message(message: Any) -> None:
            nonlocal got
            got += 1
            if not no_ack:
                message.ack()

        with Consumer(connection, [queue], on_message=on_message, prefetch_count=prefetch, no_ack=no_ack):
            while got < count:
                connection.drain_events(timeout=10)

    def ping(count: int) -> list[float]:
        taken = []
        with Consumer(connection, [queue], on_message=lambda message: message.ack()):
            for _ in range(count):
                began = time.perf_counter()
                producer.publish(b"ping", delivery_mode=1)
                connection.drain_events(timeout=10)
                taken.append(time.perf_counter() - began)
        return taken

    return Side(publish, settle, consume, ping, connection.release, serializes=True)
