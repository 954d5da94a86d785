"""One of many processes on one queue: publishes its share and consumes whatever it gets, until told to stop.

Started with a file, a name and a number of messages; prints the bodies it consumed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage

LEASE_MS = 60_000


def main(path: Path, name: str, count: int) -> None:
    """Publish one, consume some, and so on; then consume until a record says stop."""
    storage = SQLiteStorage(path, durability="normal")
    storage.open(60)
    settle: list[object] = []
    consumed: list[str] = []
    published, stopped = 0, False
    while not stopped:
        if published < count:
            storage.put([Put(f"{name}/{published}".encode(), [Target("q", ttl_ms=LEASE_MS)])])
            published += 1
            if published == count:
                storage.put([Put(b"finished", [Target("finished")])])
        taken, lost = storage.reserve([("q", 5), (name, 1)], name, LEASE_MS, settle)
        if lost:
            raise SystemExit(f"lost {lost}")
        settle = [leased.token for leased in taken]
        consumed += [leased.payload.decode() for leased in taken if leased.queue == "q"]
        stopped = any(leased.queue == name for leased in taken)
        if not taken and published == count:
            storage.wait(["q", name], 5)
    storage.settle(settle, name)
    sys.stdout.write("\n".join(consumed))
    storage.close(10)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
