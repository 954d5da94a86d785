"""A process that takes in Kombu's files and is killed as it begins its n-th change: n, then the folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dulse.transports.filesystem.kombu_folders import KombuFolders
from dulse.transports.filesystem.mixed import MixedStorage
from tests.faults.brokers import die_at_statement

FINISHED = 77


def opened(folder: Path) -> MixedStorage:
    """Open the broker whose taken files are kept."""
    data = str(folder / "data")
    folders = KombuFolders(data, data, str(folder / "processed"))
    storage = MixedStorage(str(folder / "broker"), folders, "normal", writes=False)
    storage.open(10)
    return storage


if __name__ == "__main__":
    taker = opened(Path(sys.argv[2]))
    die_at_statement("filesystem", int(sys.argv[1]))
    taker.reserve([("orders", 3)], "the dead", 60_000)
    os._exit(FINISHED)
