"""The blocking AMQP transport beside its peers, interleaved: ``python -m benchmarks.amqp [--rounds N] [--chart FILE]``.

``--clients`` and ``--works`` choose among both. The broker is the one at DULSE_BENCH_AMQP; every measurement is a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.amqp_chart import drawn
from benchmarks.amqp_client import SHAPES

URL = os.environ.get("DULSE_BENCH_AMQP", "amqp://guest:guest@localhost:5672/%2F")
LIBRARIES = ("dulse", "dulse_orjson", "kombu", "pika", "amqpstorm", "raw", "rabbitmq_c")
LIMITS = {"raw", "rabbitmq_c"}
SLOW = {"publish 1 KiB, confirm each", "ping", "publish 64 KiB", "consume 64 KiB"}
WORKS = tuple(SHAPES)
PATIENCE = 60
Sample = dict[str, float]
Samples = dict[tuple[str, str], list[Sample]]


def measured(library: str, shape: str, count: int) -> Sample | None:
    """Run one client; None, with its complaint on stderr, where it failed or took longer than PATIENCE seconds."""
    command = [sys.executable, "-m", "benchmarks.amqp_client", URL, library, shape, str(count)]
    try:
        ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
    except subprocess.SubprocessError as problem:
        print(f"{library}, {shape}: {problem}", file=sys.stderr)
        return None
    sample: Sample = json.loads(ended.stdout)
    return sample


def is_asked(library: str, shape: str) -> bool:
    """Tell whether a library is measured in a shape: limits make no JSON, and orjson does nothing else."""
    is_json = SHAPES[shape].kind == "json"
    return is_json if library == "dulse_orjson" else not (is_json and library in LIMITS)


def count_of(library: str, shape: str, count: int) -> int:
    """Say how many messages: fewer where each takes long, fewest where AMQPStorm sleeps 10 ms for each."""
    if shape not in SLOW:
        return count
    return count // 100 if library == "amqpstorm" and not shape.endswith("64 KiB") else count // 5


def loads() -> str:
    """Give the machine's load of the last minute: above 1.5, figures say little."""
    return f"{os.getloadavg()[0]:.1f}"


def row(shape: str, library: str, samples: Samples) -> str:
    """Describe one library; its CPU over dulse's is the median of the ratios within each round."""
    own, theirs = samples.get((shape, "dulse"), []), samples[shape, library]
    if not theirs:
        return f"| {shape} | {library} | failed | | | |"
    ratio = f"{median(b['cpu'] / a['cpu'] for a, b in zip(own, theirs, strict=False)):.1f}x" if own else ""
    cpu, rate, p50, p99 = (median(sample[key] for sample in theirs) for key in ("cpu", "rate", "p50", "p99"))
    return f"| {shape} | {library} | {cpu:.1f} | {ratio} | {rate:,.0f} | {f'{p50:.0f}, {p99:.0f}' if p50 else ''} |"


def collected(rounds: int, count: int, clients: Sequence[str], works: Sequence[str]) -> Samples:
    """Measure all in turns."""
    asked = [(shape, library) for shape in works for library in clients if is_asked(library, shape)]
    samples: Samples = {each: [] for each in asked}
    for _ in range(rounds):
        for shape, library in samples:
            sample = measured(library, shape, count_of(library, shape, count))
            if sample is not None:
                samples[shape, library].append(sample)
    return samples


def table(
    rounds: int, count: int, chart: Path | None = None, clients: Sequence[str] = LIBRARIES, works: Sequence[str] = WORKS
) -> Iterator[str]:
    """Measure, give the lines of a table, and draw a chart."""
    before = loads()
    samples = collected(rounds, count, clients, works)
    yield f"load of the machine: {before} at the beginning, {loads()} at the end"
    yield ""
    yield "| work | client | CPU us | over dulse's | messages/s | p50, p99 us |"
    yield "|---|---|--:|--:|--:|--:|"
    for shape, library in samples:
        yield row(shape, library, samples)
    if chart is not None:
        medians = {key: median(one["cpu"] for one in found) for key, found in samples.items() if found}
        chart.write_text(drawn(medians), encoding="utf-8")


def main() -> None:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.amqp")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--clients", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=WORKS)
    chosen = parser.parse_args()
    for line in table(chosen.rounds, chosen.count, chosen.chart, chosen.clients, chosen.works):
        print(line)


if __name__ == "__main__":
    main()
