"""Topic routing: what a publish costs with 10 to 10,000 bindings, each message reaching one queue by another key."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.measure import timed
from dulse import Connection, Exchange, Producer, Queue
from dulse.broker.definitions import BoundTo
from dulse.broker.routing import matcher_for

SPREAD = 2
BINDINGS = (10, 100, 1_000, 10_000)
PATTERNS = ("region.{}.*.created", "#.{}", "region.*.{}.#", "region.{}.orders.created")


def report(_folder: Path, share: float) -> Iterable[str]:
    """Measure the index alone, and publishing with a routing key never seen before."""
    yield "topic routing, us of CPU (flat within 2x is the target)"
    yield f"  {'bindings':>10}{'index':>10}{'publish, known key':>22}{'publish, new key':>20}"
    first: tuple[float, ...] = ()
    rows = []
    for bindings in BINDINGS:
        rows.append((_index(bindings, share), *_publishing(bindings, share)))
        first = first or rows[0]
        yield f"  {bindings:10,}{rows[-1][0]:10.2f}{rows[-1][1]:22.2f}{rows[-1][2]:20.2f}"
    for number, name in enumerate(("index", "publish, known key", "publish, new key")):
        spread = max(row[number] for row in rows) / min(row[number] for row in rows)
        yield f"  {name}: largest over smallest {spread:.1f}x: {'met' if spread <= SPREAD else 'MISSED'}"


def _patterns(bindings: int) -> list[str]:
    return [PATTERNS[number % len(PATTERNS)].format(f"r{number}") for number in range(bindings)]


def _index(bindings: int, share: float) -> float:
    bound = [BoundTo("queue", f"q{number}", pattern, {}) for number, pattern in enumerate(_patterns(bindings))]
    matcher = matcher_for("topic", bound)
    keys = [f"region.r{number % bindings}.orders.created" for number in range(1000)]

    def match(count: int) -> None:
        for number in range(count):
            matcher.match(keys[number % 1000], {})

    return min(timed(match, int(20_000 * share)).cpu_us for _ in range(3))


def _publishing(bindings: int, share: float) -> tuple[float, float]:
    with Connection(f"memory://bench-routing-{bindings}") as connection:
        channel = connection.default_channel
        exchange = Exchange("bench", type="topic")
        exchange(channel).declare()
        queue = Queue("bench")(channel)
        queue.declare()
        for pattern in _patterns(bindings):
            queue.bind_to("bench", pattern)
        producer = Producer(channel, exchange=exchange, auto_declare=False)
        producer.publish(b"", routing_key="region.r1.orders.created")

        def known(count: int) -> None:
            for _ in range(count):
                producer.publish(b"", routing_key="region.r1.orders.created")

        def new(count: int) -> None:
            for number in range(count):
                producer.publish(b"", routing_key=f"region.r1.x{number}.created")

        costs = min(timed(known, int(5_000 * share)).cpu_us for _ in range(3))
        return costs, min(timed(new, int(5_000 * share)).cpu_us for _ in range(2))
