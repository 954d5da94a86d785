"""The blocking API on RabbitMQ beside Kombu, pika, AMQPStorm and rabbitmq-c; and the shape of a task worker.

The broker is the one at DULSE_BENCH_AMQP (default: amqp://guest:guest@localhost:5672//).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks import amqp, amqp_worker

ROUNDS, COUNT = 5, 20_000


def report(_folder: Path, share: float) -> Iterable[str]:
    """Measure all in turns."""
    rounds = 1 if share < 1 else ROUNDS
    yield "blocking API on RabbitMQ, us of client CPU a message"
    yield from amqp.table(rounds, max(1000, int(COUNT * share)))
    yield ""
    yield from amqp_worker.table(rounds)
