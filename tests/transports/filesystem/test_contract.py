"""The Storage contract on a folder, with each durability and each way of waking."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from dulse.testing.storage_contract import StorageContract
from dulse.transports.filesystem import FilesystemStorage


class TestFilesystemStorage(StorageContract):
    """As the filesystem transport uses it."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "broker"

    def make_storage(self) -> FilesystemStorage:
        storage = FilesystemStorage(self.path, durability="normal")
        storage.open(10)
        return storage

    def held_up(self) -> AbstractContextManager[object]:
        return locked(self.path)


@pytest.mark.slow
class TestFilesystemStorageWithoutInotify(TestFilesystemStorage):
    """As on systems that tell nobody of changes."""

    def make_storage(self) -> FilesystemStorage:
        storage = FilesystemStorage(self.path, durability="full", waking="poll")
        storage.open(10)
        return storage


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the broker's lock as a process does that was stopped in the middle of a step."""
    with (path / "lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
