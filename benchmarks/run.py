"""Run the comparisons that were asked for: ``python -m benchmarks.run [--rounds N] [--quick] [name …]``."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import compare
from benchmarks.report import lines

CASES = (
    "memory",
    "sqlite",
    "filesystem",
    "routing",
    "backlog",
    "asynchronous",
    "importing",
    "idle",
    "amqp_blocking",
    "amqp_asyncio",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, one round")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(CASES)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: choose of {', '.join(CASES)}")
    rounds, share = (1, 0.1) if chosen.quick else (chosen.rounds, 1.0)
    print(f"Python {platform.python_version()}, {platform.system()}, medians of {rounds} interleaved rounds")
    for name in chosen.names or CASES:
        case = importlib.import_module(f"benchmarks.cases.{name}")
        with tempfile.TemporaryDirectory(prefix="dulse-bench-") as folder:
            if hasattr(case, "report"):
                print("\n" + "\n".join(case.report(Path(folder), share)), flush=True)
                continue
            for comparison in case.comparisons(Path(folder)):
                print("\n".join(lines(comparison, compare(comparison, rounds, share))), flush=True)


if __name__ == "__main__":
    sys.exit(main())
