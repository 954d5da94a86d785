"""A forked child uses the file safely: it begins with connections of its own, and what either commits stays."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dulse import errors
from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage, forks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


def put(storage: SQLiteStorage, body: bytes) -> None:
    storage.put([Put(body, [Target("q")])])


def bodies(storage: SQLiteStorage) -> list[bytes]:
    return [record.payload for record in storage.peek("q", 10_000)]


@pytest.fixture(name="storage")
def make_storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    storage = SQLiteStorage(tmp_path / "broker", "normal")
    storage.open(10)
    yield storage
    storage.close(10)


def fork(work: Callable[[], object]) -> Callable[[], None]:
    """Run `work` in a child; gives what waits for its good end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:  # noqa: BLE001 - pytest must not go on in the child
            os.write(2, repr(error).encode())
        finally:
            os._exit(status)

    def join() -> None:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    return join


def test_a_child_goes_on_with_connections_of_its_own(storage: SQLiteStorage) -> None:
    put(storage, b"before")

    fork(lambda: put(storage, b"child"))()
    put(storage, b"parent")

    assert bodies(storage) == [b"before", b"child", b"parent"]


def test_a_child_waits_for_itself_while_the_parent_waits(storage: SQLiteStorage) -> None:
    answers: list[object] = []
    waiter = threading.Thread(target=lambda: answers.append(storage.wait(["of the parent"], 30)))
    waiter.start()
    while not storage._bell._listening:
        time.sleep(0.001)

    def work() -> None:
        storage.wake()
        assert storage.wait(["q"], 5) is None
        assert storage.wait(["q"], 0.01) == ()

    fork(work)()
    storage.put([Put(b"x", [Target("of the parent")])])
    waiter.join(30)

    assert answers == [["of the parent"]]


def test_what_a_child_commits_stays_though_the_parent_closes_first(tmp_path: Path, storage: SQLiteStorage) -> None:
    put(storage, b"before")
    ready_reader, ready = os.pipe()
    go_reader, go = os.pipe()

    def work() -> None:
        os.close(go)  # or it would outlive a parent that fails
        put(storage, b"while both are open")
        os.write(ready, b".")
        os.read(go_reader, 1)
        put(storage, b"after the parent closed")
        os.kill(os.getpid(), 9)

    join = fork(work)
    os.close(ready)
    assert os.read(ready_reader, 1)
    storage.close(5)
    os.write(go, b".")
    with pytest.raises(AssertionError):
        join()

    again = SQLiteStorage(tmp_path / "broker")
    again.open(5)
    assert bodies(again) == [b"before", b"while both are open", b"after the parent closed"]
    again.close(5)
    for descriptor in (ready_reader, go_reader, go):
        os.close(descriptor)


def test_a_child_that_discards_has_to_open_again(storage: SQLiteStorage) -> None:
    def work() -> None:
        storage.discard()
        with pytest.raises(errors.ConnectionClosed, match="was opened by the parent process"):
            put(storage, b"too early")
        storage.open(5)
        put(storage, b"child")
        assert storage.wait(["q"], 5) == ["q"]

    fork(work)()

    assert bodies(storage) == [b"child"]


def test_threads_of_the_parent_publish_on_while_it_forks(storage: SQLiteStorage) -> None:
    each, threads = 150, 3
    end = threading.Barrier(threads + 1)

    def publish(name: str) -> None:
        for number in range(each):
            put(storage, f"{name} {number}".encode())
        end.wait(60)

    workers = [threading.Thread(target=publish, args=(f"thread {number}",)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for number in range(10):
        fork(lambda number=number: put(storage, f"child {number}".encode()))()  # type: ignore[misc]
    end.wait(60)
    for worker in workers:
        worker.join()

    expected = [f"thread {thread} {number}" for thread in range(threads) for number in range(each)]
    expected += [f"child {number}" for number in range(10)]
    assert sorted(bodies(storage)) == sorted(body.encode() for body in expected)


def test_a_fork_in_the_middle_of_a_transaction_leaves_the_file_to_the_parent(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    joins = []

    def child() -> None:
        with pytest.raises(errors.StorageError, match="forked while its parent was in the middle"):
            put(storage, b"child")
        storage.discard()
        with pytest.raises(errors.StorageError, match="forked while its parent was in the middle"):
            storage.open(5)

    def step(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO record (queue, rank, since, size, payload) VALUES ('q', 0, 0, 1, x'31')")
        joins.append(fork(child))

    monkeypatch.setattr(forks, "PATIENCE", 0.01)
    storage._connections.write(None, step)
    joins[0]()

    put(storage, b"parent")
    assert bodies(storage) == [b"1", b"parent"]


def test_a_wait_of_the_parent_survives_a_fork(storage: SQLiteStorage) -> None:
    answers: list[object] = []
    waiter = threading.Thread(target=lambda: answers.append(storage.wait(["q"], 30)))
    waiter.start()

    fork(lambda: put(storage, b"child"))()
    waiter.join(30)

    assert answers == [["q"]]
