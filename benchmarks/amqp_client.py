"""One client process: open a library, do one shape, print the cost as JSON: ``URL LIBRARY SHAPE COUNT``."""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from statistics import quantiles

from benchmarks import amqp_rabbitmq_c, amqp_raw
from benchmarks.amqp_side import Shape, Side
from benchmarks.bodies import TABLE

SHAPES = {
    "publish 100 B": Shape("publish", 100),
    "publish 1 KiB": Shape("publish"),
    "publish 64 KiB": Shape("publish", 65_536),
    "publish 1 KiB of JSON": Shape("json"),
    "publish 1 KiB, default": Shape("publish", confirms="pipelined"),
    "publish 1 KiB, confirm each": Shape("publish", confirms="each"),
    "consume, prefetch 100": Shape("consume", prefetch=100),
    "consume, prefetch 1000": Shape("consume"),
    "consume, no ack": Shape("consume", no_ack=True),
    "consume 64 KiB": Shape("consume", 65_536, prefetch=100),
    "ping": Shape("ping"),
}


def work_of(side: Side, shape: Shape, url: str, count: int) -> Callable[[], list[float]]:
    """Prepare, and give what is to be timed."""
    body = b"x" * shape.size

    def publish() -> list[float]:
        for _ in range(count):
            side.publish(body)
        side.settle()
        return []

    def consume() -> list[float]:
        side.consume(count, shape.prefetch, shape.no_ack)
        return []

    if shape.kind == "json":

        def publish_json() -> list[float]:
            for _ in range(count):
                side.publish(TABLE if side.serializes else json.dumps(TABLE).encode())
            side.settle()
            return []

        return publish_json
    if shape.kind == "publish":
        return publish
    if shape.kind == "ping":
        return lambda: side.ping(count)
    filler = amqp_raw.opened(url, "off")
    for _ in range(count):
        filler.publish(body)
    filler.settle()
    return consume


def main() -> None:
    """Measure once."""
    url, library, name, number = sys.argv[1:]
    shape, count = SHAPES[name], int(number)
    if library == "rabbitmq_c":
        print(amqp_rabbitmq_c.measured(url, shape, count), flush=True)
        return
    side: Side = importlib.import_module(f"benchmarks.amqp_{library}").opened(url, shape.confirms)
    work = work_of(side, shape, url, count)
    gc.collect()
    gc.disable()
    wall, cpu = time.perf_counter(), time.process_time()
    taken = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    cuts = [cut * 1e6 for cut in quantiles(taken, n=100)] if taken else []
    p50, p99 = (cuts[49], cuts[98]) if cuts else (0.0, 0.0)
    print(json.dumps({"cpu": cpu / count * 1e6, "rate": count / wall, "p50": p50, "p99": p99}), flush=True)
    side.close()


if __name__ == "__main__":
    main()
