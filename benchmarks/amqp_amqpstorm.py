"""AMQPStorm, with a client process to itself."""

from __future__ import annotations

import time
from typing import Any

import amqpstorm

from benchmarks.amqp_side import QUEUE, Side

TRANSIENT = {"delivery_mode": 1}


def opened(url: str, confirms: str) -> Side:
    """Open it; `confirms` other than "each" are off, as it has no pipelined ones."""
    connection = amqpstorm.UriConnection(url)
    channel = connection.channel()
    channel.queue.declare(QUEUE, durable=True)
    channel.queue.purge(QUEUE)
    if confirms == "each":
        channel.confirm_deliveries()

    def publish(body: bytes) -> None:
        channel.basic.publish(body, QUEUE, properties=TRANSIENT)

    def settle() -> None:
        channel.queue.declare(QUEUE, durable=True, passive=True)

    def consume(count: int, prefetch: int, no_ack: bool) -> None:
        got = 0

        def on_message(message: Any) -> None:
            nonlocal got
            got += 1
            if not no_ack:
                message.ack()

        channel.basic.qos(prefetch)
        channel.basic.consume(on_message, QUEUE, no_ack=no_ack)
        while got < count:
            channel.process_data_events()

    def ping(count: int) -> list[float]:
        taken = []
        waiting = channel.build_inbound_messages(break_on_empty=False)
        channel.basic.consume(queue=QUEUE)
        for _ in range(count):
            began = time.perf_counter()
            publish(b"ping")
            next(waiting).ack()
            taken.append(time.perf_counter() - began)
        return taken

    return Side(publish, settle, consume, ping, connection.close)
