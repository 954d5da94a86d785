"""Names, folders and files that are wrong are refused or set aside by name, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dulse import Connection, Queue, errors
from dulse.links import file_systems
from dulse.model.records import Put, Target
from dulse.transports.filesystem import FilesystemStorage
from tests.transports.filesystem.storing import names, put, taken

NAMES = ["../x", "/etc/x", "a\0b", "n" * 300, ".", "..", "", "\N{SNOWMAN}" * 200]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_queue_leaves_the_folder(storage: FilesystemStorage, tmp_path: Path, name: str) -> None:
    put(storage, b"kept", name)

    assert names(tmp_path) == ["broker"]
    assert len(names(tmp_path / "broker" / "queues")) == 1
    assert taken(storage, name) == [b"kept"]


def test_names_that_look_alike_have_folders_of_their_own(storage: FilesystemStorage) -> None:
    for name in NAMES:
        put(storage, name.encode(), name)

    assert [taken(storage, name) for name in NAMES] == [[name.encode()] for name in NAMES]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(errors.StorageError, match=f"{file} is a file: name a folder"):
        FilesystemStorage(file).open(5)


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")

    with pytest.raises(errors.StorageCorrupt, match=r"no dulse broker's \(letters\.txt\)"):
        FilesystemStorage(tmp_path).open(5)

    assert names(tmp_path) == ["letters.txt"]


def test_a_folder_of_a_newer_version_is_left_alone(storage: FilesystemStorage, tmp_path: Path) -> None:
    mark = tmp_path / "broker" / "dulse.json"
    mark.write_text('{"store": "dulse filesystem", "version": 99}')

    with pytest.raises(errors.StorageCorrupt, match=f"{mark} says 99"):
        FilesystemStorage(tmp_path / "broker").open(5)


AS_NOBODY = """
import os, sys
from dulse import Connection, errors
Connection("filesystem://" + sys.argv[1]).connect()  # imports all there is, which nobody may read
os.setuid(65534)
try:
    Connection("filesystem://" + sys.argv[2]).connect()
except errors.StorageReadOnly as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_folder_that_this_user_must_not_write_is_named(tmp_path: Path) -> None:
    path = Path(tempfile.mkdtemp(prefix="dulse-"))
    try:
        path.chmod(0o755)
        run = [sys.executable, "-c", AS_NOBODY, str(tmp_path / "mine"), str(path / "broker")]
        said = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
    finally:
        shutil.rmtree(path)

    assert f"{path}/broker cannot be written" in said


def test_a_network_file_system_is_refused_unless_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = file_systems.kind_of(tmp_path.stat().st_dev)
    monkeypatch.setattr(file_systems, "_NETWORK", {kind})

    with pytest.raises(errors.StorageError, match=f"is on a network file system \\({kind}\\).*use a local disk"):
        Connection(f"filesystem://{tmp_path}/broker").connect()
    assert names(tmp_path) == []

    with Connection(f"filesystem://{tmp_path}/broker", transport_options={"on_network": True}) as connection:
        connection.connect()


@pytest.mark.parametrize("content", [b"", b"six", b"garbage that is longer than the message"])
def test_a_broken_record_is_kept_aside_and_the_rest_go_on(
    storage: FilesystemStorage, tmp_path: Path, content: bytes
) -> None:
    for payload in (b"first", b"second", b"third"):
        put(storage, payload)
    records = [path for path in (tmp_path / "broker" / "queues").rglob("*") if path.is_file()]
    second = next(path for path in records if path.read_bytes()[:6] == b"second")
    second.write_bytes(content)

    assert taken(storage) == [b"first", b"", b"third"]
    assert [path.read_bytes() for path in (tmp_path / "broker" / "damaged").iterdir()] == [content]


def test_a_broken_record_in_the_middle_of_a_batch_is_set_aside_and_the_rest_go_on(
    storage: FilesystemStorage, tmp_path: Path
) -> None:
    storage.put([Put(payload, [Target("q")], 6) for payload in (b"first.", b"second", b"third.")])
    record = next(
        path for path in (tmp_path / "broker" / "queues").rglob("*") if path.is_file() and path.stat().st_nlink == 3
    )
    record.write_bytes(b"first.sEcondthird.")

    assert taken(storage) == [b"first.", b"", b"third."]
    assert len(names(tmp_path / "broker" / "damaged")) == 1


def test_a_record_is_read_from_its_own_file_though_it_could_stand_behind_the_last_one(
    storage: FilesystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dulse.transports.filesystem.records.wall_ms", lambda: 1_700_000_000_000)
    storage.put([Put(b"one a", [Target("q")], 5), Put(b"one b", [Target("r")], 5)])
    storage.put([Put(b"two a", [Target("r")], 5), Put(b"two b", [Target("q")], 5)])

    assert taken(storage, "q") == [b"one a", b"two b"]
    assert taken(storage, "r") == [b"one b", b"two a"]


def test_a_foreign_file_among_the_records_is_left_alone(storage: FilesystemStorage, tmp_path: Path) -> None:
    put(storage, b"first")
    (folder,) = (tmp_path / "broker" / "queues").iterdir()
    foreign = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:5] == b"first"]
    beside = foreign[0].with_name("notes.txt")
    beside.write_text("mine")
    put(storage, b"second")

    assert taken(storage) == [b"first", b"second"]
    assert beside.read_text() == "mine"


def test_files_and_folders_are_for_this_user_alone(storage: FilesystemStorage, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        put(storage, b"one")
        put(storage, b"two", "other")
        storage.change({}, {("x/e", "type"): "topic"})
        taken(storage)
    finally:
        os.umask(before)

    found = [tmp_path / "broker", *(tmp_path / "broker").rglob("*")]
    modes = {(path.is_dir(), stat.S_IMODE(path.lstat().st_mode)) for path in found}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_folder_that_disappears_is_told(storage: FilesystemStorage, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "broker")

    with pytest.raises(errors.StorageError, match="was deleted"):
        put(storage, b"lost")
    with pytest.raises(errors.StorageError, match="was deleted or replaced"):
        storage.sweep()


@pytest.mark.parametrize("damage", [b"", b"\xff" * 48, b"no header at all", None])
def test_a_broken_header_is_written_anew_from_what_is_there(tmp_path: Path, damage: bytes | None) -> None:
    storage = FilesystemStorage(tmp_path / "broker")
    storage.open(10)
    for _ in range(2):  # so that the log is begun anew once, and tells of a queue that was dropped and made again
        for number in range(12):
            storage.change({}, {("x/e", "a"): str(number) + "x" * 100_000}, ["q"])
    put(storage, b"first")
    storage.close(5)
    if damage is None:
        (tmp_path / "broker" / "header").unlink()
    else:
        (tmp_path / "broker" / "header").write_bytes(damage)

    storage.open(10)

    assert storage.read(["x/e"])["x/e"].values["a"].startswith("11x")
    assert taken(storage) == [b"first"]
    storage.change({}, {("x/e", "a"): "12"})
    assert storage.read(["x/e"])["x/e"].values == {"a": "12"}
    storage.close(5)


@pytest.mark.parametrize("damage", [b"garbage" * 100, b"", None])
def test_a_broken_log_of_the_topology_is_named(tmp_path: Path, damage: bytes | None) -> None:
    log = tmp_path / "broker" / "catalogue.0"
    with Connection(f"filesystem://{tmp_path}/broker") as connection:
        Queue("work")(connection.default_channel).declare()
        connection.Producer().publish("kept", routing_key="work")
    whole = log.read_bytes()
    if damage is None:
        log.unlink()
    else:
        log.write_bytes(damage)

    with Connection(f"filesystem://{tmp_path}/broker") as connection:
        producer = connection.Producer()
        for _ in range(2):
            with pytest.raises(errors.StorageCorrupt, match=r"catalogue\.0 is (damaged at byte 0|gone).*restore it"):
                producer.publish("refused", routing_key="work")

        log.write_bytes(whole)

        message = Queue("work")(connection.default_channel).get(no_ack=True)
        assert message is not None
        assert message.payload == "kept"
