"""The Storage contract on an SQLite file, with each durability and each way of waking."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dulse.testing.storage_contract import StorageContract
from dulse.transports.sqlite import SQLiteStorage
from tests.transports.sqlite.locking import locked


class TestSQLiteStorage(StorageContract):
    """As the sqlite transport uses it."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "broker.sqlite"

    def make_storage(self) -> SQLiteStorage:
        storage = SQLiteStorage(self.path, durability="normal")
        storage.open(10)
        return storage

    def held_up(self) -> AbstractContextManager[object]:
        return locked(self.path)


@pytest.mark.slow
class TestSQLiteStorageWithoutInotify(TestSQLiteStorage):
    """As on systems that tell nobody of changes."""

    def make_storage(self) -> SQLiteStorage:
        storage = SQLiteStorage(self.path, durability="full", waking="poll")
        storage.open(10)
        return storage
