"""What was published is there after the machine has stopped: a real file system, as its disk was at that moment."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dulse.model.records import Put, Target
from dulse.transports.filesystem import FilesystemStorage

LEASE_MS = 60_000

KINDS = [["ext4", "-O", "has_journal"], ["ext4", "-O", "^has_journal"], ["ext2"]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("mke2fs") is None,
        reason="only root may mount, and here ext4",
    ),
]


@contextmanager
def mounted(image: Path, *options: str) -> Iterator[Path]:
    """Mount the image of a disk."""
    folder = image.with_suffix(".mounted")
    folder.mkdir()
    if subprocess.run(["mount", "-o", ",".join(["loop", *options]), str(image), str(folder)], check=False).returncode:
        pytest.skip("this machine lets nobody mount an image")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        image.unlink()


@contextmanager
def opened(folder: Path) -> Iterator[FilesystemStorage]:
    storage = FilesystemStorage(folder / "broker")
    storage.open(30)
    try:
        yield storage
    finally:
        storage.close(5)


def put(storage: FilesystemStorage, numbers: range, *queues: str) -> None:
    """Put a record for each number, one by one."""
    for number in numbers:
        storage.put([Put(b"%d" % number, [Target(queue) for queue in queues], 1)])


def taken(storage: FilesystemStorage, queue: str) -> list[int]:
    return [int(each.payload) for each in storage.reserve([(queue, 1_000)], "who comes then", LEASE_MS)[0]]


@contextmanager
def made(disk: Path, kind: list[str]) -> Iterator[Path]:
    """Make a file system and mount it."""
    with disk.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", *kind, str(disk)], check=True)
    rarely = ["commit=300"] if "has_journal" in kind else []  # or its log would be written every 5 seconds anyway
    with mounted(disk, *rarely) as folder:
        yield folder


@contextmanager
def after_a_power_loss(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FilesystemStorage]:
    """Open the broker on a copy of a disk, as the machine does that starts again."""
    subprocess.run(["e2fsck", "-fy", str(copy)], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    monkeypatch.setattr("dulse.transports.filesystem.broker.read_boot", lambda: "0a0a0a0a-0000-4000-8000-00000000000a")
    with mounted(copy) as folder, opened(folder) as storage:
        for owner in storage.dead_owners()[0]:
            storage.forget(owner)
        yield storage


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_what_was_published_survives_a_power_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: list[str]
) -> None:
    with made(tmp_path / "disk.img", kind) as folder, opened(folder) as storage:
        storage.change({"x/e": 0}, {("x/e", "type"): "topic"})
        put(storage, range(60), "singly")
        held = storage.reserve([("singly", 40)], "worker", LEASE_MS)[0]
        storage.settle([each.token for each in held], "worker")
        put(storage, range(60, 100), "singly")  # into the files of those
        put(storage, range(10), "each", "all")
        storage.put([Put(b"%d" % number, [Target("batch")], 1) for number in range(50)])
        storage.put([Put(b"later", [Target("late", delay_ms=3_600_000)], 5)])
        shutil.copyfile(tmp_path / "disk.img", tmp_path / "copy.img")

    with after_a_power_loss(tmp_path / "copy.img", monkeypatch) as storage:
        assert storage.read(["x/e"])["x/e"].values == {"type": "topic"}
        assert storage.depth(["late"])[0].delayed == 1
        singly = taken(storage, "singly")
        assert singly == sorted(singly)
        assert set(singly) >= set(range(40, 100))
        assert (taken(storage, "each"), taken(storage, "all")) == (list(range(10)), list(range(10)))
        assert taken(storage, "batch") == list(range(50))


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_a_topology_that_was_written_anew_survives_a_power_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: list[str]
) -> None:
    with made(tmp_path / "disk.img", kind) as folder, opened(folder) as storage:
        for number in range(12):
            storage.change({}, {("x/e", "a"): str(number) + "x" * 100_000})
        assert (folder / "broker" / "catalogue.1").exists()
        put(storage, range(1), "q")  # takes with it to the disk that the outdated one was deleted
        shutil.copyfile(tmp_path / "disk.img", tmp_path / "copy.img")

    with after_a_power_loss(tmp_path / "copy.img", monkeypatch) as storage:
        assert storage.read(["x/e"])["x/e"].values["a"].startswith("11x")
        assert taken(storage, "q") == [0]
