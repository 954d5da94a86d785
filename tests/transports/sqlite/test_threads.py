"""One Storage object under many threads, signal handlers and finalizers."""

from __future__ import annotations

import gc
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse import errors
from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.storage import StaleTopology


@pytest.fixture(name="storage")
def make_storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    storage = SQLiteStorage(tmp_path / "broker", "normal")
    storage.open(10)
    yield storage
    storage.close(10)


def put(storage: SQLiteStorage, *bodies: bytes) -> None:
    storage.put([Put(body, [Target("q")]) for body in bodies])


def bodies(storage: SQLiteStorage) -> list[bytes]:
    return [record.payload for record in storage.peek("q", 100_000)]


def run(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def descriptors(path: Path) -> int:
    """Count the descriptors that this process has of the broker's files."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += str(descriptor.readlink()).startswith(str(path))
        except FileNotFoundError:
            continue
    return found


def test_threads_that_have_ended_leave_no_connection_behind(storage: SQLiteStorage, tmp_path: Path) -> None:
    put(storage, b"mine")

    for _ in range(20):
        run(*[threading.Thread(target=put, args=(storage, b"theirs")) for _ in range(4)])

    assert len(storage._connections._seats) == 1
    # SQLite closes none while the process has locks, but uses those of the dead again.
    assert descriptors(tmp_path) <= 5 * 2 + 1
    assert len(bodies(storage)) == 81


def test_closing_leaves_no_descriptor_open_and_a_dropped_storage_neither(tmp_path: Path) -> None:
    gc.collect()  # what earlier tests left
    before = descriptors(Path("/"))
    storage = SQLiteStorage(tmp_path / "broker")
    storage.open(5)
    storage.wait(["q"], 0)
    storage.close(5)
    assert descriptors(tmp_path) == 0

    storage.open(5)
    del storage
    gc.collect()

    assert descriptors(Path("/")) == before


def test_a_closed_storage_says_so(storage: SQLiteStorage) -> None:
    storage.close(5)

    with pytest.raises(errors.ConnectionClosed, match="is closed"):
        put(storage, b"late")
    assert repr(storage).endswith("closed>")


def test_a_storage_that_was_not_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.ConnectionClosed, match="is not open"):
        put(SQLiteStorage(tmp_path / "broker"), b"early")


def test_closing_stops_threads_that_go_on_working(storage: SQLiteStorage, tmp_path: Path) -> None:
    stopped = []
    stored = threading.Event()

    def publish() -> None:
        try:
            while True:
                put(storage, b"x")
                stored.set()
        except errors.ConnectionClosed as closed:
            stopped.append(closed)

    workers = [threading.Thread(target=publish) for _ in range(4)]
    for worker in workers:
        worker.start()
    stored.wait(10)
    storage.close(10)
    for worker in workers:
        worker.join(10)

    assert len(stopped) == 4
    assert descriptors(tmp_path) == 0


UNCLOSED = """
import sys, threading
from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage
storage = SQLiteStorage(sys.argv[1], "normal")
storage.open(5)
threading.Thread(target=storage.wait, args=(["none"], 600), daemon=True).start()
threading.Thread(target=storage.put, args=([Put(b"2", [Target("q")])],)).start()
storage.put([Put(b"1", [Target("q")])])
"""


def test_a_program_may_end_without_closing(tmp_path: Path, storage: SQLiteStorage) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", UNCLOSED, str(tmp_path / "broker")]

    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(bodies(storage)) == [b"1", b"2"]


def test_groups_are_listed_up_to_the_last_character_there_is(storage: SQLiteStorage) -> None:
    last = chr(sys.maxunicode)
    names = ["x", "x/", f"x/{last}", f"x/{last}{last}", "x/\ud7ff", "x/\ue000", "x0", f"{last}", f"{last}{last}a"]
    for name in names:
        storage.change({}, {(name, "a"): "1"})

    for prefix in ["", "x/", f"x/{last}", "x/\ud7ff", last]:
        assert sorted(storage.groups(prefix)) == sorted(name for name in names if name.startswith(prefix))


# ------------------------------------------------------------------------------------------------ in between


def test_a_call_in_the_middle_of_a_transaction_is_stored_once_and_so_is_the_transaction(storage: SQLiteStorage) -> None:
    times = []

    def step(connection: sqlite3.Connection) -> int:
        times.append(1)
        connection.execute("INSERT INTO record (queue, rank, since, size, payload) VALUES ('q', 0, 0, 1, x'31')")
        if len(times) == 1:
            put(storage, b"in", b"between")
        connection.execute("INSERT INTO record (queue, rank, since, size, payload) VALUES ('q', 0, 0, 1, x'32')")
        return len(times)

    assert storage._connections.write(None, step) == 2

    assert bodies(storage) == [b"in", b"between", b"1", b"2"]


def test_a_call_in_between_that_fails_undoes_nothing_but_itself(storage: SQLiteStorage) -> None:
    times = []

    def step(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO record (queue, rank, since, size, payload) VALUES ('q', 0, 0, 1, x'31')")
        times.append(1)
        if len(times) == 1:
            with pytest.raises(StaleTopology):
                storage.put([Put(b"x", [Target("q")]), Put(b"x", [Target("q")])], [("x/none", 5)])  # type: ignore[list-item]

    storage._connections.write(None, step)

    assert bodies(storage) == [b"1"]


def test_an_exception_out_of_the_middle_of_a_transaction_undoes_it(storage: SQLiteStorage) -> None:
    def step(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO record (queue, rank, since, size, payload) VALUES ('q', 0, 0, 1, x'31')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage._connections.write(None, step)

    put(storage, b"next")
    assert bodies(storage) == [b"next"]


def test_a_signal_handler_may_publish_at_any_moment(storage: SQLiteStorage) -> None:
    handled = 0

    def handle(_signal: int, _frame: object) -> None:
        nonlocal handled
        put(storage, b"signal", b"signal")
        handled += 1

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0017)
    sent = 0
    try:
        end = time.monotonic() + 20
        while handled < 100 and time.monotonic() < end:
            put(storage, b"main", b"main", b"main")
            sent += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    found = bodies(storage)
    assert handled >= 100
    assert (found.count(b"main"), found.count(b"signal")) == (sent * 3, handled * 2)


def test_a_finalizer_may_publish_at_any_moment(storage: SQLiteStorage) -> None:
    finalized = 0

    class Publishing:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            nonlocal finalized
            put(storage, b"finalizer", b"finalizer")
            finalized += 1

    threshold = gc.get_threshold()
    gc.collect()
    gc.set_threshold(7)
    try:
        for _ in range(200):
            Publishing()
            put(storage, b"main", b"main")
            storage.settle([leased.token for leased in storage.reserve([("none", 1)], "owner", 1000)[0]], "owner")
            storage.peek("q", 5)
    finally:
        gc.set_threshold(*threshold)
        gc.collect()

    found = bodies(storage)
    assert finalized == 200
    assert (found.count(b"main"), found.count(b"finalizer")) == (400, 400)


# ------------------------------------------------------------------------------------------------ others' locks


@pytest.fixture(name="locked")
def lock_the_file(storage: SQLiteStorage, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(tmp_path / "broker", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def test_a_lock_held_too_long_is_told_with_its_file_and_time(tmp_path: Path, locked: sqlite3.Connection) -> None:
    storage = SQLiteStorage(tmp_path / "broker")
    start = time.monotonic()
    with pytest.raises(errors.StorageBusy, match=r"broker: others held its lock for 0\.[5-9] s"):
        storage.open(0.5)
    assert time.monotonic() - start >= 0.3

    locked.execute("ROLLBACK")
    storage.open(0.5)
    put(storage, b"1")
    storage.close(5)


def test_a_call_waits_for_a_lock_that_is_given_up_in_time(storage: SQLiteStorage, locked: sqlite3.Connection) -> None:
    release = threading.Timer(0.5, locked.execute, ["ROLLBACK"])
    release.start()

    put(storage, b"1", b"2")
    put(storage, b"3")

    release.join()
    assert bodies(storage) == [b"1", b"2", b"3"]


def test_signal_handlers_run_while_a_call_waits_for_a_lock(storage: SQLiteStorage, locked: sqlite3.Connection) -> None:
    def handle(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            put(storage, b"1")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 8


def test_looking_does_not_wait_for_a_lock(storage: SQLiteStorage, locked: sqlite3.Connection) -> None:
    assert storage.depth(["q"])[0].ready == 0
    assert storage.wait(["q"], 0) == ()
    assert storage.reserve([("q", 1)], "owner", 1000) == ((), ())


def test_a_name_that_no_text_can_hold_is_an_argument_error(storage: SQLiteStorage) -> None:
    with pytest.raises(errors.InvalidArgument, match="cannot hold that name"):
        storage.put([Put(b"x", [Target("\ud800")])])
    put(storage, b"next")
