"""What queues with limits cost: they are counted where there may be no room left, and not with every message."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from dulse.model.records import Problem, Put, Target
from dulse.transports.sql import SQLStorage, limits
from dulse.transports.sql.link import Link

LEASE_MS = 600_000


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLStorage]:
    url = f"sqlite:///{tmp_path}/broker.sqlite" if request.param == "sqlite" else None
    storage = SQLStorage(url or request.getfixturevalue(f"{request.param}_url"))
    storage.open(30)
    yield storage
    storage.close(5)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the queues that are counted from now on."""
    found: list[str] = []
    count = limits.count

    def noted(link: Link, queue: str) -> tuple[int, int]:
        found.append(queue)
        return count(link, queue)

    monkeypatch.setattr(limits, "count", noted)
    return found


def put(storage: SQLStorage, queue: str, number: int, most: int, *, refuse: bool = False) -> list[Problem]:
    problems: list[Problem] = []
    for _ in range(number):
        problems += storage.put([Put(b"x", (Target(queue, max_count=most, refuse=refuse),), 1)])
    return problems


def test_a_queue_with_room_is_counted_once(storage: SQLStorage, counted: list[str]) -> None:
    assert put(storage, "roomy", 50, 100) == []
    assert counted == ["roomy"]


def test_a_queue_that_is_full_by_addition_is_counted_and_was_emptied_meanwhile(
    storage: SQLStorage, counted: list[str]
) -> None:
    assert put(storage, "work", 10, 10, refuse=True) == []
    taken, _ = storage.reserve([("work", 4)], "owner", LEASE_MS)
    storage.settle([leased.token for leased in taken], "owner")
    counted.clear()

    assert put(storage, "work", 4, 10, refuse=True) == []
    assert counted == ["work"]
    assert put(storage, "work", 1, 10, refuse=True) == [Problem(0, "work", -1)]


def test_what_comes_back_counts(storage: SQLStorage) -> None:
    put(storage, "work", 10, 10, refuse=True)
    taken, _ = storage.reserve([("work", 10)], "owner", LEASE_MS)
    put(storage, "work", 1, 10, refuse=True)
    storage.release([leased.token for leased in taken[:5]], "owner")
    assert put(storage, "work", 5, 10, refuse=True) == [Problem(0, "work", -1)]
    storage.forget("owner", force=True)

    assert put(storage, "work", 1, 20, refuse=True) == []
    assert storage.depth(["work"])[0].ready == 16


def test_what_is_forwarded_counts(storage: SQLStorage) -> None:
    put(storage, "dead", 1, 3)
    storage.put([Put(b"x", (Target("work"),), 1)] * 3)
    taken, _ = storage.reserve([("work", 3)], "owner", LEASE_MS)
    for leased in taken:
        storage.forward(leased.token, "owner", [Put(b"x", (Target("dead", max_count=3),), 1)])

    assert put(storage, "dead", 1, 3) == [Problem(0, "dead", 2, 0)]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
@pytest.mark.parametrize("refuse", [True, False])
def test_a_signal_handler_may_publish_into_the_queue_that_its_thread_has_locked(
    storage: SQLStorage, monkeypatch: pytest.MonkeyPatch, refuse: bool
) -> None:
    problems: list[Problem] = []
    calls: list[int] = []
    count = limits.count

    def interrupted(link: Link, queue: str) -> tuple[int, int]:
        calls.append(len(calls))
        if len(calls) == 1:
            signal.raise_signal(signal.SIGUSR1)
        return count(link, queue)

    def on_signal(number: int, frame: FrameType | None) -> None:
        target = Target("work", max_count=2, refuse=refuse)
        problems.extend(storage.put([Put(b"handler", (target,), 7)], until=time.monotonic() + 60))
        storage.trim("work", 2, None, "owner", LEASE_MS, until=time.monotonic() + 60)

    monkeypatch.setattr(limits, "count", interrupted)
    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        assert put(storage, "work", 1, 2, refuse=refuse) == []
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert problems == []
    assert storage.depth(["work"])[0].ready == 2
    assert put(storage, "work", 1, 2, refuse=refuse) == [Problem(0, "work", -1) if refuse else Problem(0, "work", 1, 0)]
