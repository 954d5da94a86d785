"""A consumer that waits: how soon it wakes when another process publishes, and what waiting costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import quantiles

from dulse import Connection, Consumer, Producer, Queue

WAKES = 200
PAUSE = 0.02
IDLE_SECONDS = 20.0
MOST_IDLE = 0.01

PUBLISHER = """
import sys, time
from dulse import Connection, Producer
with Connection(sys.argv[1]) as connection:
    producer = Producer(connection, routing_key="bench")
    for _ in range(int(sys.argv[2])):
        time.sleep(float(sys.argv[3]))
        producer.publish(repr(time.time()).encode())
"""


def report(folder: Path, share: float) -> Iterable[str]:
    """Measure both on sqlite, whose consumers other processes wake."""
    url = f"sqlite:///{folder}/idle.db?durability=normal"
    delays = _wake(url, max(20, int(WAKES * share)))
    points = quantiles(delays, n=100)
    yield "a waiting consumer, sqlite"
    p50, p99 = points[49] * 1e3, points[98] * 1e3
    yield f"  woken by another process' publish: p50 {p50:.2f} ms, p99 {p99:.2f} ms (target 50)"
    for queues in (1, 100):
        burnt = _idle(url, queues, max(2.0, IDLE_SECONDS * share))
        verdict = "met" if burnt <= MOST_IDLE else "MISSED"
        yield f"  idle with {queues} queues: {burnt:.2%} of a core ({verdict}: at most {MOST_IDLE:.0%})"


def _wake(url: str, count: int) -> list[float]:
    delays: list[float] = []
    with Connection(url) as connection:
        queue = Queue("bench")

        def on_message(message: object) -> None:
            delays.append(time.time() - float(message.body))  # type: ignore[attr-defined]
            message.ack()  # type: ignore[attr-defined]

        with Consumer(connection, [queue], on_message=on_message):
            publisher = subprocess.Popen([sys.executable, "-c", PUBLISHER, url, str(count), str(PAUSE)])
            for _ in range(count):
                connection.drain_events(timeout=20)
            publisher.wait(20)
    return delays


def _idle(url: str, queues: int, seconds: float) -> float:
    with Connection(url) as connection:
        names = [Queue(f"idle-{number}") for number in range(queues)]
        with Consumer(connection, names, on_message=print):
            Producer(connection).flush()
            begun, burnt = time.monotonic(), time.process_time()
            try:
                connection.drain_events(timeout=seconds)
            except TimeoutError:
                return (time.process_time() - burnt) / (time.monotonic() - begun)
    raise AssertionError("an idle queue had a message")
