"""Taking from a queue of a thousand and of a hundred thousand messages: it should not matter how many wait."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.measure import timed
from dulse import Connection, Producer, Queue

BACKLOGS = (1_000, 100_000)
TAKEN = 500


def report(folder: Path, share: float) -> Iterable[str]:
    """Measure get + ack one by one at each backlog."""
    yield "get + ack with a backlog, us of CPU"
    yield f"  {'':10}" + "".join(f"{backlog:>14,}" for backlog in BACKLOGS) + "   100k over 1k"
    for name, url in (
        ("memory", "memory://bench-backlog-{}"),
        ("sqlite", f"sqlite:///{folder}/backlog-{{}}.db?durability=normal"),
    ):
        costs = [_get(url.format(backlog), int(backlog * share)) for backlog in BACKLOGS]
        yield f"  {name:10}" + "".join(f"{cost:14.2f}" for cost in costs) + f"{costs[1] / costs[0]:15.2f}"


def _get(url: str, backlog: int) -> float:
    with Connection(url) as connection:
        queue = Queue("bench")(connection)
        queue.declare()
        producer = Producer(connection, routing_key="bench")
        for _ in range(backlog // 1000 or 1):
            producer.publish_many([b"x" * 100] * min(1000, backlog))

        def get(count: int) -> None:
            for _ in range(count):
                message = queue.get()
                message.ack()

        return min(timed(get, max(10, min(TAKEN, backlog // 4))).cpu_us for _ in range(3))
