"""The memory transport beside Kombu's, and beside a bare deque."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.bodies import BYTES, TABLE
from benchmarks.contenders import dulse_blocking, kombu, plain
from benchmarks.measure import Comparison


def comparisons(_folder: Path) -> Iterable[Comparison]:
    """Give what is compared."""
    yield Comparison(
        "memory, 1 KiB bytes",
        [
            dulse_blocking.one_by_one("memory://bench-bytes", BYTES, 20_000),
            kombu.one_by_one("memory://bench-bytes", BYTES, 5_000),
            plain.double_ended_queue(BYTES, 200_000),
        ],
        {("publish", "kombu"): 3, ("deliver + ack", "kombu"): 3},
    )
    yield Comparison(
        "memory, 1 KiB dict by the standard json",
        [
            dulse_blocking.decoding("memory://bench-dict", TABLE, 10_000),
            kombu.decoding("memory://bench-dict", TABLE, 3_000),
            plain.standard_json(TABLE, 20_000),
        ],
        {("publish", "kombu"): 2.5, ("deliver + ack", "kombu"): 2.5},
    )
