"""A task worker's shape: read headers, properties and delivery_info; acknowledge at random from another thread."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from statistics import median
from typing import Any

from benchmarks import amqp_raw
from benchmarks.amqp_side import QUEUE

PREFETCH, TOGETHER, COUNT, ROUNDS = 1000, 50, 4000, 5
URL = os.environ.get("DULSE_BENCH_AMQP", "amqp://guest:guest@localhost:5672/%2F")


def acknowledging(waiting: SimpleQueue[Any], count: int) -> None:
    """Acknowledge so many, shuffled within each few."""
    chance = random.Random(1)  # noqa: S311 - the same order for all
    while count:
        some = [waiting.get() for _ in range(min(TOGETHER, count))]
        chance.shuffle(some)
        for message in some:
            message.ack()
        count -= len(some)


def once(library: Any) -> None:
    """Measure one of dulse and Kombu, whose names are alike here, and print the us of CPU and the rate."""
    filler = amqp_raw.opened(URL, "off")
    for _ in range(COUNT):
        filler.publish(b"x" * 1024)
    filler.settle()
    connection = library.Connection(URL)
    waiting: SimpleQueue[Any] = SimpleQueue()
    got = 0

    def on_message(message: Any) -> None:
        nonlocal got
        got += 1
        if message.headers is not None and message.properties and message.delivery_info["routing_key"] == QUEUE:
            waiting.put(message)

    thread = threading.Thread(target=acknowledging, args=(waiting, COUNT))
    with library.Consumer(connection, [library.Queue(QUEUE)], on_message=on_message, prefetch_count=PREFETCH):
        wall, cpu = time.perf_counter(), time.process_time()
        thread.start()
        while got < COUNT:
            connection.drain_events(timeout=10)
        thread.join()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps([cpu / COUNT * 1e6, COUNT / wall]), flush=True)
    connection.release()


def table(rounds: int = ROUNDS) -> Iterator[str]:
    """Measure both in turns, each time in a process of its own, and give the lines of a report."""
    found: dict[str, list[list[float]]] = {"dulse": [], "kombu": []}
    for _ in range(rounds):
        for name, samples in found.items():
            command = [sys.executable, "-m", "benchmarks.amqp_worker", name]
            samples.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout))
    for name, samples in found.items():
        cpu, rate = (median(one[column] for one in samples) for column in (0, 1))
        yield f"worker, {name}: {cpu:.1f} us, {rate:,.0f}/s"
    ratio = median(theirs[0] / own[0] for own, theirs in zip(found["dulse"], found["kombu"], strict=True))
    yield f"Kombu's CPU over dulse's: {ratio:.1f}x"


def main() -> None:
    """Measure one that is named, or both."""
    if len(sys.argv) > 1:
        once(__import__(sys.argv[1]))
        return
    for line in table():
        print(line)


if __name__ == "__main__":
    main()
