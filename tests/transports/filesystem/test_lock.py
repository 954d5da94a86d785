"""Who waits for the lock of a broker gets it, whatever the others do, and in a time of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse import errors
from dulse.transports.filesystem.lock import STARVES_AFTER, Lock

TRIES = 4
"""A machine that stands still for 20 ms makes one attempt fail, a fault makes all fail."""


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[tuple[Lock, Lock]]:
    """Give two locks on one file, as two processes have them."""
    first, second = Lock(str(tmp_path / "lock")), Lock(str(tmp_path / "lock"))
    first.open()
    second.open()
    yield first, second
    first.close()
    second.close()


def holders_after_starving(busy: Lock, starving: Lock) -> list[str]:
    """Tell who held the lock in turn: the busy one asks again the moment that it lets go."""
    found: list[str] = []

    def wait() -> None:
        with starving.held(30):
            found.append("starving")

    with busy.held(30):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(STARVES_AFTER * 4)
    with busy.held(30):
        found.append("busy")
    waiting.join(30)
    return found


def test_who_starves_comes_before_who_takes_it_again_and_again(locks: tuple[Lock, Lock]) -> None:
    assert ["starving", "busy"] in (holders_after_starving(*locks) for _ in range(TRIES))


def test_a_process_that_died_as_it_starved_holds_nobody_up_for_long(locks: tuple[Lock, Lock]) -> None:
    lock, dead = locks
    dead._plead(time.monotonic())

    begun = time.monotonic()
    with lock.held(30):
        waited = time.monotonic() - begun

    assert STARVES_AFTER <= waited < 10


def test_a_step_within_a_step_does_not_stand_back(locks: tuple[Lock, Lock]) -> None:
    lock, starving = locks
    with lock.held(30):
        starving._plead(time.monotonic())
        with lock.held(0):
            assert lock.depth == 2


def test_a_plea_that_makes_no_sense_is_passed_over(locks: tuple[Lock, Lock]) -> None:
    lock, other = locks
    other._plead(time.monotonic() + 3600)

    with lock.held(0):
        assert lock.depth == 1


def test_who_waits_in_vain_is_told_for_how_long(locks: tuple[Lock, Lock]) -> None:
    lock, other = locks
    with (
        other.held(30),
        pytest.raises(errors.StorageBusy, match=r"lock: others held the lock for 0\.1 s"),
        lock.held(0.1),
    ):
        pytest.fail("two held the lock")
