"""pika's BlockingConnection, with a client process to itself."""

from __future__ import annotations

import time
from typing import Any

import pika

from benchmarks.amqp_side import QUEUE, Side

TRANSIENT = pika.BasicProperties(delivery_mode=1)


def opened(url: str, confirms: str) -> Side:
    """Open it; `confirms` other than "each" are off, as it has no pipelined ones."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True)
    channel.queue_purge(QUEUE)
    if confirms == "each":
        channel.confirm_delivery()

    def publish(body: bytes) -> None:
        channel.basic_publish("", QUEUE, body, TRANSIENT)

    def settle() -> None:
        channel.queue_declare(QUEUE, durable=True, passive=True)

    def consume(count: int, prefetch: int, no_ack: bool) -> None:
        got = 0

        def on_message(_: Any, method: Any, _properties: Any, _body: bytes) -> None:
            nonlocal got
            got += 1
            if not no_ack:
                channel.basic_ack(method.delivery_tag)
            if got == count:
                channel.stop_consuming()

        channel.basic_qos(prefetch_count=prefetch)
        channel.basic_consume(QUEUE, on_message, auto_ack=no_ack)
        channel.start_consuming()

    def ping(count: int) -> list[float]:
        taken = []
        waiting = channel.consume(QUEUE)
        for _ in range(count):
            began = time.perf_counter()
            publish(b"ping")
            method, _properties, _body = next(waiting)
            channel.basic_ack(method.delivery_tag)
            taken.append(time.perf_counter() - began)
        channel.cancel()
        return taken

    return Side(publish, settle, consume, ping, connection.close)
