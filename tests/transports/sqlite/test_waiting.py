"""What wakes a waiting consumer of an SQLite file, and what does not keep it awake."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from dulse.links import bell
from dulse.links.inotify import Inotify
from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage


@pytest.fixture(name="storage")
def make_storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    storage = SQLiteStorage(tmp_path / "broker", "normal")
    storage.open(10)
    yield storage
    storage.close(10)


@pytest.fixture(name="other")
def make_other(storage: SQLiteStorage, tmp_path: Path) -> Iterator[SQLiteStorage]:
    other = SQLiteStorage(tmp_path / "broker", "normal")
    other.open(10)
    yield other
    other.close(10)


def put(storage: SQLiteStorage, queue: str = "q") -> None:
    storage.put([Put(b"x", [Target(queue)])])


def listening(storage: SQLiteStorage) -> None:
    """Wait until a thread listens for changes."""
    end = time.monotonic() + 20
    while not storage._bell._listening:
        assert time.monotonic() < end
        time.sleep(0.001)


class Waiter(threading.Thread):
    """Waits in the background."""

    def __init__(self, storage: SQLiteStorage, *queues: str, seconds: float = 30) -> None:
        super().__init__()
        self.answer: object = "none yet"
        self._wait = partial(storage.wait, queues, seconds)
        self.start()

    def run(self) -> None:
        self.answer = self._wait()


def test_a_wake_before_the_wait_is_not_missed(storage: SQLiteStorage) -> None:
    storage.wake()

    assert storage.wait(["q"], 30) is None
    assert storage.wait(["q"], 0.01) == ()


def test_a_consumer_is_woken_where_eventlet_has_taken_poll_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(select, "poll")
    storage, other = (SQLiteStorage(tmp_path / "broker", "normal") for _ in range(2))
    for each in (storage, other):
        each.open(10)
    waiter = Waiter(storage, "q")
    listening(storage)

    put(other)
    waiter.join(20)

    assert waiter.answer == ["q"]
    for each in (storage, other):
        each.close(10)


def test_closing_ends_a_wait(storage: SQLiteStorage) -> None:
    waiter = Waiter(storage, "q")
    listening(storage)

    storage.close(5)
    waiter.join(20)

    assert waiter.answer is None


def test_when_the_listening_thread_leaves_another_listens(storage: SQLiteStorage, other: SQLiteStorage) -> None:
    first = Waiter(storage, "a")
    listening(storage)
    second = Waiter(storage, "b")

    put(other, "a")
    first.join(20)
    put(other, "b")
    second.join(20)

    assert (first.answer, second.answer) == (["a"], ["b"])


def test_waiting_for_no_queue_at_all_waits_for_a_wake(storage: SQLiteStorage, other: SQLiteStorage) -> None:
    put(other)
    assert storage.wait([], 0.02) == ()

    waiter = Waiter(storage)
    listening(storage)
    storage.wake()
    waiter.join(20)

    assert waiter.answer is None


def test_a_file_closed_by_all_and_opened_again_still_wakes(storage: SQLiteStorage, other: SQLiteStorage) -> None:
    waiter = Waiter(storage, "q")
    listening(storage)
    other.close(5)
    storage._connections.pause(5)  # as before a fork: the last connection closes, and SQLite deletes its log
    storage._connections.resume()

    other.open(5)
    put(other)
    waiter.join(20)

    assert waiter.answer == ["q"]


def test_where_inotify_has_no_more_to_give_a_wait_looks_by_itself(
    storage: SQLiteStorage, other: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: str, _folders: Sequence[str]) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(bell, "Inotify", refuse)
    waiter = Waiter(storage, "q")
    listening(storage)
    put(other)
    waiter.join(20)

    assert waiter.answer == ["q"]
    assert not storage._bell.is_told


def test_a_change_that_nobody_told_of_is_found_all_the_same(
    storage: SQLiteStorage, other: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(Inotify):
        """As on a file system that tells of no changes."""

        def __init__(self, _path: str, _folders: Sequence[str]) -> None:
            super().__init__("/")

    monkeypatch.setattr(bell, "Inotify", Deaf)
    monkeypatch.setattr(bell, "LOOK_ANYWAY", 0.05)
    waiter = Waiter(storage, "q")
    listening(storage)
    put(other)
    waiter.join(20)

    assert waiter.answer == ["q"]


def test_a_busy_neighbour_queue_does_not_end_a_wait(storage: SQLiteStorage, other: SQLiteStorage) -> None:
    waiter = Waiter(storage, "q", seconds=0.3)
    while waiter.is_alive():
        put(other, "neighbour")

    assert waiter.answer == ()
