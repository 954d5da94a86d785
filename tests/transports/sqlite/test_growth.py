"""What is written goes again: the log is emptied, space is used again, and many are purged in steps."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage
from dulse.transports.sqlite import storage as storage_module
from tests.transports.sqlite.test_places import put, storage_at


def frames_in_log(storage: SQLiteStorage) -> int:
    frames: int = storage._connections.once(None, lambda c: c.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
    return frames


def test_a_log_that_has_become_long_is_emptied_by_a_sweep(tmp_path: Path) -> None:
    with storage_at(tmp_path / "broker") as storage:
        reader = sqlite3.connect(tmp_path / "broker", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM meta").fetchall()
        storage.put([Put(b"x" * 10_000, [Target("q")])] * 2000)
        assert frames_in_log(storage) > 4000
        storage.sweep()
        assert frames_in_log(storage) > 4000
        reader.close()

        storage.sweep()

        assert frames_in_log(storage) == 0


def test_a_log_that_has_become_very_long_is_emptied_by_those_who_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "VERY_LONG_LOG", 1 << 20)
    with storage_at(tmp_path / "broker") as storage:
        reader = sqlite3.connect(tmp_path / "broker", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM meta").fetchall()
        storage.put([Put(b"x" * 10_000, [Target("q")])] * 1000)
        reader.close()

        for _ in range(storage_module.LOOK_AT_LOG):
            put(storage, b"x")

        assert frames_in_log(storage) < 100


def test_a_log_that_somebody_reads_for_long_is_written_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "VERY_LONG_LOG", 1 << 10)
    with storage_at(tmp_path / "broker") as storage:
        reader = sqlite3.connect(tmp_path / "broker", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM meta").fetchall()

        for _ in range(3 * storage_module.LOOK_AT_LOG):
            put(storage, b"x")

        assert storage.depth(["q"])[0].ready == 3 * storage_module.LOOK_AT_LOG
        reader.close()


def test_a_purge_of_many_lets_others_write_between_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "PURGE_STEP", 10)
    with storage_at(tmp_path / "broker") as storage, storage_at(tmp_path / "broker") as other:
        storage.put([Put(b"x", [Target("q")])] * 35)
        pauses = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: put(other, b"later"))
        monkeypatch.setattr(storage_module, "time", pauses)

        assert storage.purge("q") == 35

        assert storage.depth(["q"])[0].ready == 3


def test_space_of_records_that_are_gone_is_used_again(tmp_path: Path) -> None:
    with storage_at(tmp_path / "broker") as storage:
        sizes = []
        for _ in range(10):
            storage.put([Put(b"x" * 5000, [Target("q")])] * 100)
            taken = storage.reserve([("q", 100)], "owner", 60_000)[0]
            storage.settle([leased.token for leased in taken], "owner")
            sizes.append(storage._connections.once(None, lambda c: c.execute("PRAGMA page_count").fetchone()[0]))

    assert sizes[-1] <= sizes[0] * 1.1
