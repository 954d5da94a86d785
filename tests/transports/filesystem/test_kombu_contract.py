"""The Storage contract on a folder beside Kombu's, and where the files in those take part."""

from __future__ import annotations

from pathlib import Path

import pytest

from dulse.broker.envelope import pack
from dulse.model.message import Record
from dulse.model.records import Guard, Put, Target
from dulse.transports.filesystem.kombu_folders import KombuFolders
from dulse.transports.filesystem.mixed import MixedStorage
from dulse.virtual.storage import StaleTopology
from tests.transports.filesystem import test_contract

LEASE_MS = 60_000


def opened(path: Path, *, writes: bool) -> MixedStorage:
    folder = str(path / "data")
    storage = MixedStorage(str(path / "broker"), KombuFolders(folder, folder), "normal", writes=writes)
    storage.open(10)
    return storage


def payload(text: str) -> bytes:
    return pack(Record("", "q", {}, text.encode()))


class TestMixedStorage(test_contract.TestFilesystemStorage):
    """As where Kombu's files are taken in and none are written."""

    def make_storage(self) -> MixedStorage:
        return opened(self.path.parent, writes=False)


@pytest.fixture
def storage(tmp_path: Path) -> MixedStorage:
    return opened(tmp_path, writes=True)


def test_files_are_counted_looked_at_and_purged_with_the_records(storage: MixedStorage, tmp_path: Path) -> None:
    storage.put([Put(payload(text), [Target("q")], 3) for text in ("one", "two")])

    assert storage.depth(["q", "r"])[0].ready == 2
    assert [each.payload for each in storage.peek("q", 5)] == [payload("one"), payload("two")]
    assert len(list((tmp_path / "data").glob("*.q.msg"))) == 2
    assert storage.purge("q") == 2
    assert storage.depth(["q"])[0].ready == 0
    assert list((tmp_path / "data").glob("*.msg")) == []


def test_a_queue_with_files_is_not_empty_and_goes_with_them(storage: MixedStorage) -> None:
    storage.put([Put(payload("one"), [Target("q")], 3)])

    assert not storage.change({}, {}, ["q"], only_empty=True)
    assert storage.change({}, {}, ["q"])
    assert storage.depth(["q"])[0].ready == 0


def test_one_file_for_several_queues_is_taken_from_each(storage: MixedStorage) -> None:
    storage.put([Put(payload("one"), [Target("q", priority=2), Target("r", priority=7)], 3)])

    taken, _ = storage.reserve([("q", 5), ("r", 5)], "worker", LEASE_MS)

    assert [(each.queue, each.payload) for each in taken] == [("q", payload("one")), ("r", payload("one"))]


def test_a_put_of_an_old_topology_writes_no_file(storage: MixedStorage, tmp_path: Path) -> None:
    put = Put(payload("one"), [Target("q")], 3)

    with pytest.raises(StaleTopology):
        storage.put([put], [Guard("x/e", 7)])
    storage.put([put], [Guard("x/e", 7)], park="parked")

    assert list((tmp_path / "data").rglob("*.msg")) == []
    assert [depth.ready for depth in storage.depth(["q", "parked"])] == [0, 1]


def test_a_call_that_is_sent_again_writes_no_second_file(storage: MixedStorage) -> None:
    for _ in range(2):
        storage.put([Put(payload("one"), [Target("q")], 3)], publisher=("p", 1))

    assert storage.depth(["q"])[0].ready == 1


@pytest.mark.parametrize("name", ["../x", "a/b", "a\0b", "n" * 300])
def test_a_queue_whose_name_no_file_can_have_stays_with_ours(storage: MixedStorage, tmp_path: Path, name: str) -> None:
    storage.put([Put(payload("one"), [Target(name)], 3)])

    assert list((tmp_path / "data").rglob("*.msg")) == []
    assert len(storage.reserve([(name, 1)], "worker", LEASE_MS)[0]) == 1
