"""What was counted before a power loss is not relied on: the files with the numbers are not waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dulse.model.records import Put, Target
from dulse.transports.filesystem import FilesystemStorage

LEASE_MS = 60_000


def opened(folder: Path) -> FilesystemStorage:
    storage = FilesystemStorage(folder, durability="normal")
    storage.open(10)
    return storage


@pytest.mark.parametrize("zeros", [False, True], ids=["an old count", "zeros"])
def test_records_are_found_where_their_count_did_not_reach_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zeros: bool
) -> None:
    storage = opened(tmp_path / "broker")
    storage.put([Put(b"gone", [Target("q")], 4)])
    storage.settle([storage.reserve([("q", 1)], "worker", LEASE_MS)[0][0].token], "worker")
    (counters,) = (tmp_path / "broker" / "queues").glob("*/counters")
    of_none = counters.read_bytes()
    storage.put([Put(text, [Target("q")], 3) for text in (b"one", b"two")])
    storage.close(5)

    counters.write_bytes(bytes(len(of_none)) if zeros else of_none)
    monkeypatch.setattr("dulse.transports.filesystem.broker.read_boot", lambda: "0a0a0a0a-0000-4000-8000-00000000000a")
    storage = opened(tmp_path / "broker")

    assert list(storage.wait(["q"], 0) or ()) == ["q"]
    assert [each.payload for each in storage.reserve([("q", 5)], "another", LEASE_MS)[0]] == [b"one", b"two"]
    assert storage.depth(["q"])[0].ready == 0
    storage.close(5)
