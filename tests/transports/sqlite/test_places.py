"""Files that are no broker, places where none can be, full disks: told at once, and nothing half-written."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dulse import errors
from dulse.links import file_systems
from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage, schema

NOBODY = 65534


def put(storage: SQLiteStorage, body: bytes) -> None:
    storage.put([Put(body, [Target("q")])])


def opened(path: Path, seconds: float = 5) -> SQLiteStorage:
    storage = SQLiteStorage(path)
    storage.open(seconds)
    return storage


@contextmanager
def storage_at(path: Path) -> Iterator[SQLiteStorage]:
    storage = opened(path)
    yield storage
    storage.close(5)


# ------------------------------------------------------------------------------------------------ what is there


def test_a_new_file_belongs_to_its_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with storage_at(tmp_path / "broker"):
            modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)

    assert modes == {0o600}


def test_an_empty_file_becomes_a_broker(tmp_path: Path) -> None:
    (tmp_path / "broker").touch()

    with storage_at(tmp_path / "broker") as storage:
        put(storage, b"1")

        assert storage.depth(["q"])[0].ready == 1


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"Dear reader, " * 1000)

    with pytest.raises(errors.StorageCorrupt, match="letter is damaged or no SQLite database"):
        opened(tmp_path / "letter")

    assert (tmp_path / "letter").read_bytes() == b"Dear reader, " * 1000
    assert [file.name for file in tmp_path.iterdir()] == ["letter"]


def foreign(path: Path, *statements: str) -> bytes:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("statement", ["CREATE TABLE mine (x)", "PRAGMA application_id = 7"])
def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, statement: str) -> None:
    content = foreign(tmp_path / "addresses", statement)

    with pytest.raises(errors.StorageCorrupt, match="addresses is another program's database"):
        opened(tmp_path / "addresses")

    assert (tmp_path / "addresses").read_bytes() == content


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    foreign(tmp_path / "new", f"PRAGMA application_id = {schema.APPLICATION}", "PRAGMA user_version = 99")

    with pytest.raises(errors.StorageCorrupt, match=r"newer dulse \(schema 99, ours 2\): upgrade"):
        opened(tmp_path / "new")


def test_a_file_of_an_older_version_is_refused(tmp_path: Path) -> None:
    foreign(tmp_path / "old", f"PRAGMA application_id = {schema.APPLICATION}", "PRAGMA user_version = 1")

    with pytest.raises(errors.StorageCorrupt, match=r"older dulse \(schema 1, ours 2\).*let that release empty"):
        opened(tmp_path / "old")


def test_a_broker_whose_tables_are_gone_is_told(tmp_path: Path) -> None:
    with storage_at(tmp_path / "broker") as storage:
        put(storage, b"1")
        foreign(tmp_path / "broker", "DROP TABLE ready")

        with pytest.raises(errors.StorageCorrupt, match="no longer those of a dulse broker"):
            put(storage, b"2")


def test_a_damaged_file_is_told_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "broker"
    with storage_at(path) as storage:
        storage.put([Put(b"x" * 1000, [Target("q")])] * 1000)
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)

    with pytest.raises(errors.StorageCorrupt, match="broker is damaged"):
        opened(path).reserve([("q", 1)], "owner", 1000)


def test_a_file_deleted_in_use_is_noticed_and_a_new_one_begun(tmp_path: Path) -> None:
    with storage_at(tmp_path / "broker") as storage:
        put(storage, b"1")
        for file in tmp_path.iterdir():
            file.unlink()

        with pytest.raises(errors.StorageError, match="was deleted or replaced while it was in use"):
            storage.sweep()
        with pytest.raises(errors.StorageError, match="was deleted or replaced"):
            put(storage, b"2")

        storage.open(5)
        put(storage, b"3")
        assert storage.depth(["q"])[0].ready == 1


# ------------------------------------------------------------------------------------------------ where it is


@pytest.mark.parametrize("path", ["", ":memory:", "nul\0inside"])
def test_a_path_that_names_no_file_is_an_argument_error(path: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="names no file"):
        SQLiteStorage(path)


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(errors.StorageError, match="none does not exist"):
        opened(tmp_path / "none" / "broker")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_broker(tmp_path: Path) -> None:
    with pytest.raises(errors.StorageError, match="is not an ordinary file"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["a?b#c%41 d", "été", "it's", "x" * 200])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    with storage_at(tmp_path / name) as storage:
        put(storage, b"1")

    assert (tmp_path / name).exists()


def test_a_relative_path_means_the_folder_of_its_making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = SQLiteStorage("broker")
    monkeypatch.chdir("/")

    storage.open(5)
    storage.close(5)

    assert (tmp_path / "broker").exists()


def test_a_network_file_system_is_refused_unless_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    kinds = {line.split(" - ")[1].split()[0] for line in mounts.splitlines()}
    monkeypatch.setattr(file_systems, "_NETWORK", kinds)

    with pytest.raises(errors.StorageError, match="is on a network file system"):
        opened(tmp_path / "broker")
    assert list(tmp_path.iterdir()) == []

    storage = SQLiteStorage(tmp_path / "broker", on_network=True)
    storage.open(5)
    storage.close(5)


def test_durability_and_waking_are_checked() -> None:
    with pytest.raises(errors.InvalidArgument, match="'full' survives a power loss"):
        SQLiteStorage("x", "some")  # type: ignore[arg-type]
    with pytest.raises(errors.InvalidArgument, match="use 'push'"):
        SQLiteStorage("x", waking="never")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ who may write


@pytest.fixture(name="folder")
def make_folder() -> Iterator[Path]:
    """Make a folder that other users can reach, as those of pytest cannot be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def as_nobody(path: Path) -> str:
    """Put as a user without rights, whom the mode of a file concerns; gives the error."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        try:
            put(opened(path), b"x")
        except errors.StorageReadOnly as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as told:
        text = told.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o644, 0o755), (0o666, 0o755), (0o444, 0o777)])
def test_a_file_or_folder_that_must_not_be_written_is_read_only(folder: Path, file_mode: int, folder_mode: int) -> None:
    with storage_at(folder / "broker") as storage:
        put(storage, b"1")
    mine = 0o777 if os.getuid() == 0 else 0o555
    (folder / "broker").chmod(file_mode & mine)
    folder.chmod(folder_mode & mine)

    assert "needs write access to the file" in as_nobody(folder / "broker")


def test_a_folder_where_nothing_can_be_made_is_read_only(folder: Path) -> None:
    folder.chmod(0o555)

    assert "needs write access to the file" in as_nobody(folder / "broker")


# ------------------------------------------------------------------------------------------------ full disks


def test_a_full_disk_is_told_and_the_next_call_works(tmp_path: Path) -> None:
    with storage_at(tmp_path / "broker") as storage:
        put(storage, b"first")
        pages = storage._connections.once(None, lambda c: c.execute("PRAGMA page_count").fetchone()[0])
        storage._connections.once(None, lambda c: c.execute(f"PRAGMA max_page_count = {pages + 10}"))

        with pytest.raises(errors.StorageFull, match="is used up; nothing was written"):
            storage.put([Put(b"x" * 10_000, [Target("q")])] * 10)
        with pytest.raises(errors.StorageFull):
            put(storage, b"x" * 100_000)

        put(storage, b"last")
        assert [leased.payload for leased in storage.reserve([("q", 9)], "owner", 1000)[0]] == [b"first", b"last"]


FILL = """
import resource, sys
from dulse import errors
from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage
storage = SQLiteStorage(sys.argv[1])
storage.open(5)
limit = 1_000_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
stored = 0
while True:
    try:
        storage.put([Put(b"x" * 10_000, [Target("q")])])
    except errors.StorageError as error:
        break
    stored += 1
try:
    storage.put([Put(b"x" * 10_000_000, [Target("q")])])
except errors.StorageError:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
storage.put([Put(b"last", [Target("q")])])
print(stored, storage.depth(["q"])[0].ready)
"""


def test_a_write_that_the_system_refuses_loses_nothing_of_what_was_stored(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY

    done = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path / "broker")], check=True, stdout=subprocess.PIPE, text=True
    )

    stored, ready = map(int, done.stdout.split())
    assert stored > 10
    assert ready == stored + 1
