"""The shortest ways to put, to take and to look into a folder, for tests of a FilesystemStorage."""

from __future__ import annotations

from pathlib import Path

from dulse.model.records import Put, Target
from dulse.transports.filesystem import FilesystemStorage

LEASE_MS = 60_000


def put(storage: FilesystemStorage, payload: bytes, queue: str = "q") -> None:
    """Put one record."""
    storage.put([Put(payload, [Target(queue)], len(payload))])


def names(folder: Path) -> list[str]:
    """List what a folder has."""
    return sorted(path.name for path in folder.iterdir())


def taken(storage: FilesystemStorage, queue: str = "q") -> list[bytes]:
    """Take all and tell the payloads."""
    return [each.payload for each in storage.reserve([(queue, 100)], "worker", LEASE_MS)[0]]
