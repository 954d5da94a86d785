"""Brokers in a folder: dulse's, Kombu's and plain files: ``python -m benchmarks.filesystem [--rounds N] [--folder F]``.

Run it in an environment with kombu. ``--folder`` is on the disk that is measured: a temporary one may be in memory.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from statistics import quantiles
from typing import IO, Any, cast

from benchmarks.bodies import BYTES
from benchmarks.contenders import bare_files, dulse_blocking, kombu
from benchmarks.measure import Comparison, compare, timed
from benchmarks.report import lines
from dulse import Connection, Queue

QUEUE = "crowd"
IDLE = 3.0
"""Seconds without a message until a consumer thinks that all have been taken: Kombu's look once in a second."""


def kombu_options(folder: Path) -> dict[str, Any]:
    """Have Kombu keep all in one folder: in a process it remembers bindings, whichever folder they were written to."""
    for name in ("data", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    data = str(folder / "data")
    return {"data_folder_in": data, "data_folder_out": data, "control_folder": str(folder / "control")}


def connect(kind: str, folder: Path) -> Any:
    """Open a connection of one of the two."""
    if kind == "dulse":
        return Connection(f"filesystem://{folder}?durability=normal")
    made: Any = importlib.import_module("kombu")
    return made.Connection("filesystem://", transport_options=kombu_options(folder))


def comparisons(root: Path) -> Iterable[Comparison]:
    """Give what is compared."""
    for durability, prefetch in (("full", 1), ("normal", 1), ("full", 100), ("normal", 100)):
        name = f"{durability}-{prefetch}"
        url = f"filesystem://{root}/dulse-{name}?durability={durability}"
        batches = prefetch > 1
        make = dulse_blocking.in_batches if batches else dulse_blocking.one_by_one
        ours = make(url, BYTES, 1_000) if batches else dulse_blocking.one_by_one(url, BYTES, 300, prefetch=1)
        peer = kombu.one_by_one("filesystem://", BYTES, 300, prefetch=prefetch, options=kombu_options(root / "kombu"))
        limit = bare_files.singly(root / f"files-{name}", BYTES, 300, sync=durability == "full")
        yield Comparison(
            f"Files: {'batches of 100' if batches else 'one by one'}, prefetch {prefetch}, durability {durability}",
            [ours, peer, limit],
            {("publish", "kombu"): 5 if batches else 2},
            note=f"fsync: dulse and files {'yes' if durability == 'full' else 'no'}, kombu never; kombu has no batches",
        )


def waking(kind: str, folder: Path, count: int) -> str:
    """Measure from a publish until the handler of an idle consumer has the message."""
    took: list[float] = []
    heard = threading.Event()
    is_over = threading.Event()

    def take(message: Any) -> None:
        took.append((time.monotonic_ns() - int(message.body)) / 1e6)
        message.ack()
        heard.set()

    def consume() -> None:
        with connect(kind, folder) as connection:
            queue = importlib.import_module(kind).Queue("idle")(connection.default_channel)
            queue.declare()
            with connection.Consumer(queue, on_message=take):
                heard.set()
                while not is_over.is_set():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=1)

    consumer = threading.Thread(target=consume)
    consumer.start()
    heard.wait(30)
    with connect(kind, folder) as connection:
        producer = connection.Producer()
        for _ in range(count):
            time.sleep(0.03)
            heard.clear()
            producer.publish(str(time.monotonic_ns()), routing_key="idle")
            heard.wait(30)
    is_over.set()
    consumer.join(30)
    cuts = quantiles(took, n=100)
    return (
        f"{kind}: an idle consumer is woken in p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms (no fsync, {count} times)"
    )


def consume(kind: str, folder: Path) -> None:
    """Be one of several consumers."""
    times: list[float] = []

    def take(message: Any) -> None:
        message.ack()
        times.append(time.monotonic())

    with connect(kind, folder) as connection:
        queue = importlib.import_module(kind).Queue(QUEUE)(connection.default_channel)
        queue.declare()
        print("ready", flush=True)
        sys.stdin.readline()
        with connection.Consumer(queue, on_message=take, prefetch_count=100), suppress(TimeoutError):
            while True:
                connection.drain_events(timeout=IDLE)
    print(len(times), times[-1] if times else 0.0, flush=True)


def crowd(kind: str, folder: Path, consumers: int, messages: int) -> str:
    """Have so many processes empty a queue."""
    with connect(kind, folder) as connection:
        importlib.import_module(kind).Queue(QUEUE)(connection.default_channel).declare()
        producer = connection.Producer()
        for _ in range(messages):
            producer.publish(BYTES, routing_key=QUEUE)
    command = [sys.executable, "-m", "benchmarks.filesystem", "--consume", kind, "--folder", str(folder)]
    crew = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(consumers)
    ]
    for each in crew:
        cast("IO[str]", each.stdout).readline()
    began = time.monotonic()
    for each in crew:
        cast("IO[str]", each.stdin).write("go\n")
        cast("IO[str]", each.stdin).flush()
    told = [(each.communicate()[0].split() or ["0", "0"]) for each in crew]
    taken = [int(number) for number, _ in told]
    rate = sum(taken) / max(1e-9, max(float(last) for _, last in told) - began)
    died = sum(each.returncode != 0 for each in crew)
    return f"{kind}, {consumers} consumers: {rate:,.0f} messages/s, {sum(taken)} of {messages} came, {died} died"


def backlog(folder: Path, count: int) -> str:
    """Measure getting and acknowledging with so many files waiting (each message published in a file of its own)."""
    with connect("dulse", folder) as connection:
        queue = Queue(QUEUE)(connection.default_channel)
        queue.declare()
        producer = connection.Producer()
        for _ in range(count):
            producer.publish(BYTES[:100], routing_key=QUEUE)

        def get(number: int) -> None:
            for _ in range(number):
                queue.get().ack()

        cost = timed(get, 500)
        return f"dulse, get + ack of {count:,} files: {cost.rate:,.0f}/s, {cost.cpu_us:.0f} us of CPU each"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.filesystem")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--consume", choices=("dulse", "kombu"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.consume:
        consume(chosen.consume, chosen.folder)
        return
    print("load before: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))
    with tempfile.TemporaryDirectory(prefix="dulse-bench-", dir=chosen.folder) as made:
        root = Path(made)
        for comparison in comparisons(root):
            print("\n".join(lines(comparison, compare(comparison, chosen.rounds, 1.0))), flush=True)
        for kind, count in (("dulse", 200), ("kombu", 10)):
            print(waking(kind, root / ("kombu" if kind == "kombu" else "waking"), count), flush=True)
        for consumers in (2, 8):
            for kind in ("dulse", "kombu"):
                print(
                    crowd(kind, root / ("kombu" if kind == "kombu" else f"crowd-{consumers}"), consumers, 1_000),
                    flush=True,
                )
        for count in (1_000, 10_000, chosen.backlog):
            print(backlog(root / f"backlog-{count}", count), flush=True)


if __name__ == "__main__":
    sys.exit(main())
