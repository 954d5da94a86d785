"""A process that writes files for Kombu and is killed as it begins its n-th change: n, then the folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dulse.broker.envelope import pack
from dulse.model.message import Record
from dulse.model.records import Put, Target
from dulse.transports.filesystem.kombu_folders import KombuFolders
from dulse.transports.filesystem.mixed import MixedStorage
from tests.faults.brokers import die_at_statement

FINISHED = 77


def opened(folder: Path) -> MixedStorage:
    """Open a broker that writes for Kombu."""
    data = str(folder / "data")
    storage = MixedStorage(str(folder / "broker"), KombuFolders(data, data), "normal", writes=True)
    storage.open(10)
    return storage


def record(text: str, *queues: str) -> Put:
    """Make a message for some queues."""
    return Put(pack(Record("", queues[0], {}, text.encode())), [Target(queue) for queue in queues], len(text))


if __name__ == "__main__":
    writer = opened(Path(sys.argv[2]))
    writer.put([record("before", "orders")])
    die_at_statement("filesystem", int(sys.argv[1]))
    writer.put([record("both", "orders", "copies")])
    writer.put([record("first", "orders"), record("second", "orders")])
    os._exit(FINISHED)
