"""The memory transport beside Kombu's, and beside a bare deque."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.contenders import dulse_blocking, kombu, plain
from benchmarks.measure import Comparison

BYTES = b"x" * 1024
TABLE = {
    "id": "f7d1bd4c-6a0a-4cf4-9b1c-6c2a8f1f1f0e",
    "task": "orders.confirm",
    "args": [4711, 3, "express", True, None],
    "kwargs": {"customer": "A. Nobody", "total": 129.95, "express": True, "note": None},
    "text": "a line of text " * 54,
}
"""1 KiB of JSON, of which the standard json takes 4 to 5 us to write."""


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
