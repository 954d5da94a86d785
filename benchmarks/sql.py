"""The sql transport beside Kombu's, both on one PostgreSQL: ``python -m benchmarks.sql [--rounds N] [--fsync]``.

Run it in an environment with dulse[sql], kombu and SQLAlchemy. It starts a server of its own, which waits for the disk
with every commit only with --fsync: the ratios of CPU time are the same, those of wall time are the disk's.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.bodies import BYTES
from benchmarks.contenders import bare_sql, dulse_blocking, kombu
from benchmarks.measure import Comparison, Contender, Work, compare
from benchmarks.report import lines
from benchmarks.sql_crowd import backlog, crowd
from dulse import Connection, Queue
from tests.servers.authority import Authority
from tests.servers.postgresql import PostgreSQL

SQLITE_DURABILITY = "dulse and plain SQL: WAL, synchronous=FULL; kombu: rollback journal, synchronous=FULL"
TICKS = os.sysconf("SC_CLK_TCK")


class Server(PostgreSQL):
    """A server that may wait for the disk."""

    fsync = False

    def command(self) -> Sequence[str]:
        """Give the command of the tests, with fsync as it is wanted."""
        return [word.replace("fsync=off", "fsync=on") if self.fsync else word for word in super().command()]

    def durability(self) -> str:
        """Say what a commit waits for, on all sides: it is one server."""
        settings = [f"{name}={self.query(f'SHOW {name}')}" for name in ("fsync", "synchronous_commit")]
        return f"all sides: {', '.join(settings)}"

    def cpu(self) -> float:
        """Give the seconds of CPU time that all its processes have used, those that have ended as well."""
        fields = {path.parent.name: stat_of(path) for path in Path("/proc").glob("[0-9]*/stat")}
        mine = fields[str(self.pid)]
        children = [each for each in fields.values() if len(each) > 1 and each[1] == str(self.pid)]
        ticks = sum(map(int, mine[11:15])) + sum(int(number) for each in children for number in each[11:13])
        return ticks / TICKS


def stat_of(path: Path) -> list[str]:
    """Give the fields of /proc/…/stat behind the name (proc(5))."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:  # it has ended meanwhile
        return []


def metered(contender: Contender, server: Server, used: dict[tuple[str, str], list[float]]) -> Contender:
    """Note besides what the server's processes use for each work, in us a message."""

    def counted(name: str, work: Work) -> Work:
        def does(number: int) -> None:
            before = server.cpu()
            work(number)
            used.setdefault((name, contender.name), []).append((server.cpu() - before) / number * 1e6)

        return does

    return contender._replace(works={name: counted(name, work) for name, work in contender.works.items()})


def comparisons(server: PostgreSQL, folder: Path) -> Iterable[Comparison]:
    """Give what is compared."""
    for name in ("single", "batch", "kombu_single", "kombu_batch", "bare_single", "bare_batch"):
        server.query(f"CREATE DATABASE {name}")

    def kombus(name: str, prefetch: int) -> Any:
        url = server.url_of(f"kombu_{name}").replace(":", "+psycopg:", 1)
        return kombu.one_by_one(f"sqla+{url}", BYTES, 150, prefetch=prefetch)

    yield Comparison(
        "PostgreSQL: one commit a publish, takes of one",
        [
            dulse_blocking.one_by_one(server.url_of("single"), BYTES, 1_000, prefetch=1),
            kombus("single", 1),
            bare_sql.postgresql(server.url_of("bare_single"), BYTES, 1_000),
        ],
        {("publish", "kombu"): 5, ("deliver + ack", "kombu"): 5},
        note=server.durability(),
    )
    yield Comparison(
        "PostgreSQL: batches of 100, prefetch 100",
        [
            dulse_blocking.in_batches(server.url_of("batch"), BYTES, 5_000),
            kombus("batch", 100),
            bare_sql.postgresql(server.url_of("bare_batch"), BYTES, 5_000, batch=100),
        ],
        {("publish", "kombu"): 30, ("deliver + ack", "kombu"): 30},
        note=f"{server.durability()}; kombu has no batches: one by one",
    )
    yield Comparison(
        "SQLite by SQLAlchemy: one commit a publish, takes of one",
        [
            dulse_blocking.one_by_one(f"sqla+sqlite:///{folder}/dulse.db", BYTES, 500, prefetch=1),
            kombu.one_by_one(f"sqla+sqlite:///{folder}/kombu.db", BYTES, 100, prefetch=1),
            bare_sql.sqlite(folder, BYTES, 500),
        ],
        {("publish", "kombu"): 4, ("deliver + ack", "kombu"): 4},
        note=SQLITE_DURABILITY,
    )
    yield Comparison(
        "SQLite by SQLAlchemy: batches of 100, prefetch 100",
        [
            dulse_blocking.in_batches(f"sqla+sqlite:///{folder}/dulse-batch.db", BYTES, 5_000),
            kombu.one_by_one(f"sqla+sqlite:///{folder}/kombu-batch.db", BYTES, 100, prefetch=100),
            bare_sql.sqlite(folder, BYTES, 5_000, batch=100),
        ],
        {("publish", "kombu"): 30, ("deliver + ack", "kombu"): 30},
        note=f"{SQLITE_DURABILITY}; kombu has no batches: one by one",
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
    parser.add_argument("--backlog", type=int, default=1_000_000)
    chosen = parser.parse_args()
    Server.fsync = chosen.fsync
    with tempfile.TemporaryDirectory(prefix="dulse-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        server = Server(folder / "server", Authority(folder / "authority"))
        server.start()
        try:
            for comparison in comparisons(server, folder):
                used: dict[tuple[str, str], list[float]] = {}
                comparison.contenders = [metered(each, server, used) for each in comparison.contenders]
                print("\n".join(lines(comparison, compare(comparison, chosen.rounds, 1.0))), flush=True)
                if "PostgreSQL" in comparison.title:
                    told = [f"{work}, {name} {median(costs):.0f}" for (work, name), costs in used.items()]
                    print(f"  CPU us of the server: {'; '.join(told)}", flush=True)
            print("\nPostgreSQL: consumers in processes of their own, prefetch 100", flush=True)
            for consumers in (2, 8):
                for kind, messages in (("dulse", 8_000), ("kombu", 400)):
                    database = f"{kind}_crowd_{consumers}"
                    server.query(f"CREATE DATABASE {database}")
                    url = server.url_of(database)
                    prefix = "sqla+" + url.replace(":", "+psycopg:", 1) if kind == "kombu" else url
                    print(crowd(kind, prefix, consumers, messages), flush=True)
            print("\nPostgreSQL: a queue in which many wait, dulse", flush=True)
            for number in (1_000, chosen.backlog):
                print(backlog(server, f"backlog_{number}", number), flush=True)
            server.query("CREATE DATABASE idle")
            print(waking(server.url_of("idle")), flush=True)
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
