"""The sql transport beside Kombu's, both on one PostgreSQL: ``python -m benchmarks.sql [--rounds N] [--fsync]``.

Run it in an environment with dulse[sql], kombu and SQLAlchemy. It starts a server of its own, which waits for the disk
with every commit only with --fsync: the ratios of CPU time are the same, those of wall time are the disk's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.contenders import dulse_blocking, kombu
from benchmarks.measure import Comparison, compare
from benchmarks.report import lines
from dulse import Connection, Queue
from tests.servers.authority import Authority
from tests.servers.postgresql import PostgreSQL

BODY = b"x" * 1024


class Server(PostgreSQL):
    """A server that may wait for the disk."""

    fsync = False

    def command(self) -> Sequence[str]:
        """Give the command of the tests, with fsync as it is wanted."""
        return [word.replace("fsync=off", "fsync=on") if self.fsync else word for word in super().command()]


def comparisons(server: PostgreSQL, folder: Path) -> Iterable[Comparison]:
    """Give what is compared."""
    for name in ("single", "batch", "kombu_single", "kombu_batch"):
        server.query(f"CREATE DATABASE {name}")

    def kombus(name: str, prefetch: int) -> Any:
        url = server.url_of(f"kombu_{name}").replace(":", "+psycopg:", 1)
        return kombu.one_by_one(f"sqla+{url}", BODY, 150, prefetch=prefetch)

    yield Comparison(
        "PostgreSQL: one commit a publish, takes of one",
        [dulse_blocking.one_by_one(server.url_of("single"), BODY, 1_000, prefetch=1), kombus("single", 1)],
        {("publish", "kombu"): 5, ("deliver + ack", "kombu"): 5},
    )
    yield Comparison(
        "PostgreSQL: batches of 100, prefetch 100",
        [dulse_blocking.in_batches(server.url_of("batch"), BODY, 5_000), kombus("batch", 100)],
        {("publish", "kombu"): 30, ("deliver + ack", "kombu"): 30},
        note="kombu has no batches: one by one",
    )
    yield Comparison(
        "SQLite by SQLAlchemy: one commit a publish, takes of one",
        [
            dulse_blocking.one_by_one(f"sqla+sqlite:///{folder}/dulse.db", BODY, 500, prefetch=1),
            kombu.one_by_one(f"sqla+sqlite:///{folder}/kombu.db", BODY, 100, prefetch=1),
        ],
        {("publish", "kombu"): 4, ("deliver + ack", "kombu"): 4},
    )
    yield Comparison(
        "SQLite by SQLAlchemy: batches of 100, prefetch 100",
        [
            dulse_blocking.in_batches(f"sqla+sqlite:///{folder}/dulse-batch.db", BODY, 5_000),
            kombu.one_by_one(f"sqla+sqlite:///{folder}/kombu-batch.db", BODY, 100, prefetch=100),
        ],
        {("publish", "kombu"): 30, ("deliver + ack", "kombu"): 30},
        note="kombu has no batches: one by one",
    )


def waking(url: str, count: int = 200) -> str:
    """Measure from a publish until the handler of an idle consumer has the message."""
    took: list[float] = []
    heard = threading.Event()
    is_over = False

    def consume() -> None:
        with Connection(url) as connection:
            queue = Queue("idle")(connection.default_channel)
            queue.declare()

            def take(message: Any) -> None:
                took.append((time.monotonic_ns() - int(message.body)) / 1e6)
                message.ack()
                heard.set()

            with connection.Consumer(queue, on_message=take):
                heard.set()
                while not is_over:
                    connection.drain_events(timeout=60)

    consumer = threading.Thread(target=consume)
    consumer.start()
    heard.wait(30)
    with Connection(url) as connection:
        producer = connection.Producer()
        for number in range(count):
            time.sleep(0.03)
            heard.clear()
            is_over = number == count - 1
            producer.publish(str(time.monotonic_ns()), routing_key="idle")
            heard.wait(30)
    consumer.join(30)
    cuts = quantiles(took, n=100)
    return f"an idle consumer is woken in p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms (publishing included)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sql")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fsync", action="store_true")
    chosen = parser.parse_args()
    Server.fsync = chosen.fsync
    with tempfile.TemporaryDirectory(prefix="dulse-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        server = Server(folder / "server", Authority(folder / "authority"))
        server.start()
        try:
            for comparison in comparisons(server, folder):
                print("\n".join(lines(comparison, compare(comparison, chosen.rounds, 1.0))), flush=True)
            server.query("CREATE DATABASE idle")
            print(waking(server.url_of("idle")), flush=True)
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
