"""Files that are no broker's, or cannot be written, are told by an error that says what to do, and left alone."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse import Connection, Queue, aio, errors
from dulse.links import file_systems

NOBODY = 65534


def publish(path: Path, body: object = "body") -> None:
    with Connection(f"sqlite:///{path}?durability=normal") as connection:
        Queue("work")(connection.channel()).declare()
        connection.Producer().publish(body, routing_key="work")


def refused(path: Path) -> Exception:
    """Try to publish, by both forms, and give the error of the blocking one."""

    async def by_asyncio() -> None:
        async with aio.Connection(f"sqlite:///{path}") as connection:
            await aio.Queue("work")(await connection.channel()).declare()

    with pytest.raises(errors.StorageError) as caught:
        asyncio.run(by_asyncio())
    with pytest.raises(type(caught.value)) as again:
        publish(path)
    assert str(again.value) == str(caught.value)
    assert str(path) in str(again.value)
    return again.value


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"no database\n" * 500, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    error = refused(path)

    assert isinstance(error, errors.StorageCorrupt)
    assert not error.retryable
    assert "name another file" in str(error)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["notes.txt"]  # noqa: PTH208 - the names are what counts


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE account (id INTEGER, name TEXT)")
        theirs.execute("INSERT INTO account VALUES (1, 'somebody')")
    theirs.close()
    before = digest(path)

    error = refused(path)

    assert isinstance(error, errors.StorageCorrupt)
    assert "another program's database" in str(error)
    assert digest(path) == before


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    publish(path)
    newer = sqlite3.connect(path, isolation_level=None)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    before = digest(path)

    error = refused(path)

    assert isinstance(error, errors.StorageCorrupt)
    assert "newer dulse (schema 99, ours 2): upgrade" in str(error)
    assert digest(path) == before


def test_a_damaged_file_is_told_and_another_one_works(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    with Connection(f"sqlite:///{path}") as connection:
        Queue("work")(connection).declare()
        connection.Producer().publish_many(["x" * 1000] * 200, routing_key="work")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (path.stat().st_size - 4096))

    error = refused(path)

    assert isinstance(error, errors.StorageCorrupt)
    assert "restore a backup" in str(error)
    publish(tmp_path / "sound.db")


def test_a_network_file_system_is_refused_and_nothing_is_made_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    kinds = {line.partition(" - ")[2].split()[0] for line in mounts.splitlines()}
    monkeypatch.setattr(file_systems, "_NETWORK", frozenset(kinds))
    path = tmp_path / "shared.db"

    error = refused(path)

    assert "network file system" in str(error)
    assert "use a local disk" in str(error)
    assert list(tmp_path.iterdir()) == []
    with Connection(f"sqlite:///{path}?on_network=true") as connection:
        Queue("work")(connection).declare()


def test_a_folder_that_does_not_exist_is_told_and_not_made(tmp_path: Path) -> None:
    error = refused(tmp_path / "missing" / "broker.db")

    assert "create it first" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    assert "not an ordinary file" in str(refused(tmp_path))


# ------------------------------------------------------------------------------------------------- read-only


@pytest.fixture(name="folder")
def make_folder() -> Iterator[Path]:
    """Give a folder that every user of the system may look into, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="dulse-"))
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


READ_ONLY = f"""
import os, sys
from dulse import Connection, Queue, errors
path, writable = sys.argv[1:]
connection = Connection("sqlite:///" + path)
with Connection("sqlite:///" + writable) as other:  # imports all there is, which nobody may read
    Queue("work")(other).declare()
if os.geteuid() == 0:
    os.setuid({NOBODY})
for _ in range(2):
    try:
        Queue("work")(connection.channel()).declare()
    except errors.StorageReadOnly as error:
        assert not error.retryable
        print(error)
    else:
        sys.exit("it was written")
"""


def read_only(path: Path, writable: Path) -> str:
    """Try to write as somebody who must not; gives what the error said."""
    program = [sys.executable, "-c", READ_ONLY, str(path), str(writable / "other.db")]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=50, cwd="/")
    assert done.returncode == 0, done.stderr
    said, again = done.stdout.splitlines()
    assert said == again
    return said


def test_a_file_that_must_not_be_written_is_told(folder: Path, tmp_path: Path) -> None:
    path = folder / "broker.db"
    publish(path)
    path.chmod(0o444)
    folder.chmod(0o555)
    before = digest(path)

    said = read_only(path, tmp_path)

    assert str(path) in said
    assert "needs write access" in said
    assert digest(path) == before


def test_a_folder_where_nothing_can_be_made_is_told(folder: Path, tmp_path: Path) -> None:
    folder.chmod(0o555)

    said = read_only(folder / "broker.db", tmp_path)

    assert str(folder / "broker.db") in said
    assert "needs write access" in said
    assert list(folder.iterdir()) == []


# -------------------------------------------------------------------------------------------------- full disk

FULL = """
import os, resource, sys
from dulse import Connection, Queue, errors

path, durability, kind = sys.argv[1:]
ballast = path + ".ballast"
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

def narrow():
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        return
    free = os.statvfs(ballast[:ballast.rindex("/")])
    with open(ballast, "wb") as file:
        file.write(bytes(free.f_bavail * free.f_frsize - 300_000))

def widen():
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    else:
        os.remove(ballast)

def must_be_full(call):
    try:
        call()
    except errors.StorageFull as error:
        assert error.retryable
        print(error)
    else:
        sys.exit("the disk did not become full")

connection = Connection(f"sqlite:///{path}?durability={durability}")
queue = Queue("work")(connection)
queue.declare()
producer = connection.Producer()
producer.publish("first", routing_key="work")
held = queue.get()
stored = 0

def fill():
    global stored
    while stored < 5000:
        producer.publish("x" * 2000, routing_key="work")
        stored += 1

narrow()
must_be_full(fill)
must_be_full(lambda: producer.publish_many(["y" * 50_000] * 20, routing_key="work"))
if kind == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))  # now nothing at all can be written
held.ack()
try:
    connection.default_channel.flush()
except errors.StorageFull:
    print("the acknowledgement waits")
widen()

producer.publish("last", routing_key="work")
connection.default_channel.flush()
found = []
while (message := queue.get()) is not None:
    found.append(message.payload)
    message.ack()
assert found == ["x" * 2000] * stored + ["last"], (stored, len(found), [each[:3] for each in found[-3:]])
connection.default_channel.flush()
(status,) = connection.manager.queues("work")
assert (status.ready, status.leased) == (0, 0), status
connection.close()
"""


@pytest.fixture(name="small_disk")
def make_small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("this user must not mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(path: Path, durability: str, kind: str) -> str:
    """Fill the disk and free it again; gives what the program said."""
    program = [sys.executable, "-c", FULL, str(path), durability, kind]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"{path} is used up; nothing was written: free some space and repeat") == 2
    with Connection(f"sqlite:///{path}") as connection:
        assert Queue("work")(connection).get() is None
    checked = sqlite3.connect(path)
    assert checked.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    checked.close()
    return done.stdout


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_a_full_disk_is_told_and_what_was_settled_meanwhile_stays_settled(small_disk: Path, durability: str) -> None:
    fill(small_disk / "broker.db", durability, "disk")


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_a_file_at_its_limit_is_told_like_a_full_disk_and_what_was_settled_is_written_later(
    tmp_path: Path, durability: str
) -> None:
    said = fill(tmp_path / "broker.db", durability, "limit")

    assert "the acknowledgement waits" in said
