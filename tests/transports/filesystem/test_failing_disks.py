"""A disk that is full, read-only or fails is told, and so is what has become of the messages."""

from __future__ import annotations

import errno
import gc
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dulse import Connection, Queue, errors
from dulse.model.records import Put, Target
from dulse.transports.filesystem import FilesystemStorage
from tests.transports.filesystem.storing import LEASE_MS, names, put, taken


def fill(storage: FilesystemStorage) -> None:
    """Put more than a disk of 1 MiB takes."""
    for _ in range(100):
        put(storage, b"x" * 50_000, "big")


@contextmanager
def small_disk(tmp_path: Path, options: str) -> Iterator[Path]:
    """Mount a disk in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a disk, not even root, as in many containers")
    try:
        yield disk
    finally:
        gc.collect()  # what was raised holds, by its frames, files that were open then
        subprocess.run(["umount", str(disk)], check=True)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a disk that is full (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_grows_too_long_is_told_and_nothing_of_the_message_stays(
    storage: FilesystemStorage, tmp_path: Path
) -> None:
    put(storage, b"before")

    with files_of_at_most(100_000), pytest.raises(errors.StorageFull, match="free some space"):
        put(storage, b"x" * 200_000)
    put(storage, b"after")

    assert taken(storage) == [b"before", b"after"]
    assert names(tmp_path / "broker" / "writing") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_told_and_what_is_on_it_can_be_taken(tmp_path: Path) -> None:
    with small_disk(tmp_path, "size=1m") as disk:
        storage = FilesystemStorage(disk / "broker")
        storage.open(10)
        put(storage, b"before")
        with pytest.raises(errors.StorageFull, match="free some space"):
            fill(storage)
        kept = storage.depth(["big"])[0].ready
        assert taken(storage) == [b"before"]
        assert taken(storage, "big") == [b"x" * 50_000] * kept
        storage.forget("worker", force=True)
        assert storage.purge("big") == kept
        storage.sweep()
        put(storage, b"after")
        assert taken(storage) == [b"before", b"after"]
        storage.close(5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk; others meet the case below")
def test_a_disk_that_was_mounted_read_only_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path, "size=4m") as disk:
        with Connection(f"filesystem://{disk}/broker") as connection:
            Queue("work")(connection).declare()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(errors.StorageReadOnly, match=f"{disk}/broker.* cannot be written"):
            FilesystemStorage(disk / "broker").open(5)
        with pytest.raises(errors.StorageReadOnly, match=f"{disk}/new cannot be written"):
            FilesystemStorage(disk / "new").open(5)


def test_a_batch_with_more_names_than_a_file_may_have_is_written_to_several(
    storage: FilesystemStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dulse.transports.filesystem.records.MOST_NAMES", 7)
    queues = ["one", "two", "three"]
    bodies = [b"%d" % number for number in range(10)]

    storage.put([Put(body, [Target(queue) for queue in queues], len(body)) for body in bodies])

    assert [taken(storage, queue) for queue in queues] == [bodies] * 3
    files = [path for path in (tmp_path / "broker" / "leased").rglob("*") if path.is_file()]
    assert sorted(path.stat().st_nlink for path in files)[-30:] == [6] * 30
    assert names(tmp_path / "broker" / "writing") == []


def test_a_batch_of_several_files_of_which_one_cannot_be_written_leaves_nothing(
    storage: FilesystemStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dulse.transports.filesystem.records.MOST_NAMES", 2)
    put(storage, b"held", "source")
    token = storage.reserve([("source", 1)], "worker", LEASE_MS)[0][0].token
    batch = [Put(body, [Target("q"), Target("r")], len(body)) for body in (b"one", b"x" * 200_000, b"three")]

    with files_of_at_most(100_000):
        with pytest.raises(errors.StorageFull, match="nothing was written"):
            storage.put(batch)
        with pytest.raises(errors.StorageFull, match="nothing was written"):
            storage.forward_many([(token, batch)], "worker")

    assert [depth.ready for depth in storage.depth(["q", "r"])] == [0, 0]
    assert storage.held("worker") == [token]
    assert names(tmp_path / "broker" / "writing") == []
    assert storage.forward_many([(token, batch)], "worker") == []
    assert taken(storage, "q") == taken(storage, "r") == [b"one", b"x" * 200_000, b"three"]


def test_a_disk_that_fails_when_a_batch_has_its_names_is_told_and_so_is_that_it_can_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FilesystemStorage(tmp_path / "broker", durability="full")
    storage.open(10)
    put(storage, b"first")

    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", fail)
        with pytest.raises(errors.StorageError, match=r"ENOSPC.*published is there and can be taken"):
            put(storage, b"second")

    assert taken(storage) == [b"first", b"second"]
    storage.close(5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_batch_of_several_files_of_which_one_gets_no_name_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dulse.transports.filesystem.records.MOST_NAMES", 7)
    queues = ["one", "two", "three"]
    targets = [Target(queue) for queue in queues]
    # Here each name of a file counts, so that names run out while there is room for bytes.
    with small_disk(tmp_path, "nr_inodes=1000") as disk:
        storage = FilesystemStorage(disk / "broker")
        storage.open(10)
        storage.put([Put(b"before", targets, 6)])
        put(storage, b"held", "source")
        token = storage.reserve([("source", 1)], "worker", LEASE_MS)[0][0].token
        room = os.statvfs(disk)
        used = room.f_files - room.f_ffree
        files, of_two_files = 5, 12
        subprocess.run(["mount", "-o", f"remount,nr_inodes={used + files + of_two_files + 3}", str(disk)], check=True)

        with pytest.raises(errors.StorageFull, match="free some space"):
            storage.put([Put(b"%d" % number, targets, 1) for number in range(10)])
        with pytest.raises(errors.StorageFull, match="free some space"):
            storage.forward_many([(token, [Put(b"%d" % number, targets, 1) for number in range(10)])], "worker")

        assert [depth.ready for depth in storage.depth(queues)] == [1] * 3
        assert storage.held("worker") == [token]
        assert names(disk / "broker" / "writing") == []
        subprocess.run(["mount", "-o", "remount,nr_inodes=1000", str(disk)], check=True)
        storage.put([Put(b"after", targets, 5)])
        assert [taken(storage, queue) for queue in queues] == [[b"before", b"after"]] * 3
        storage.close(5)
