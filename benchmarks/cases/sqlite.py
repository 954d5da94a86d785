"""The sqlite transport beside Kombu's SQLAlchemy on SQLite, and beside bare sqlite3 at the same durability."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.bodies import BYTES
from benchmarks.contenders import dulse_blocking, kombu, plain
from benchmarks.measure import Comparison


def comparisons(folder: Path) -> Iterable[Comparison]:
    """Give what is compared."""
    for durability, synchronous, publish, consume in (("full", "FULL", 8, 6), ("normal", "NORMAL", 30, 20)):
        url = f"sqlite:///{folder}/single-{durability}.db?durability={durability}"
        yield Comparison(
            f"sqlite, durability {durability}: one commit a publish, takes of one",
            [
                dulse_blocking.one_by_one(url, BYTES, 2_000, prefetch=1),
                kombu.one_by_one(f"sqla+sqlite:///{folder}/kombu-single-{durability}.db", BYTES, 150, prefetch=1),
                plain.sqlite(folder, BYTES, 2_000, synchronous=synchronous),
            ],
            {
                ("publish", "kombu"): publish,
                ("deliver + ack", "kombu"): consume,
                ("publish", "sqlite3"): 1 / 3,
                ("deliver + ack", "sqlite3"): 1 / 3,
            },
            note=f"dulse and sqlite3: WAL, synchronous={synchronous}; kombu: rollback journal, synchronous=FULL",
        )
        yield Comparison(
            f"sqlite, durability {durability}: batches of 100, prefetch 100",
            [
                dulse_blocking.in_batches(
                    f"sqlite:///{folder}/batch-{durability}.db?durability={durability}", BYTES, 10_000
                ),
                kombu.one_by_one(f"sqla+sqlite:///{folder}/kombu-batch-{durability}.db", BYTES, 150, prefetch=100),
                plain.sqlite(folder, BYTES, 10_000, synchronous=synchronous, batch=100),
            ],
            {("publish", "kombu"): 80, ("deliver + ack", "kombu"): 80},
            note=f"dulse and sqlite3: WAL, synchronous={synchronous}; kombu has no batches: one by one",
        )
