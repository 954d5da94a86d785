from __future__ import annotations

import logging
import threading
from queue import Empty

import pytest

from dulse.links.keeper import Keeper
from dulse.links.waiting.sync import Event
from tests.links.rig import LONG, Task, settle


def keepers_threads() -> int:
    return sum(thread.name == "dulse-keeper" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "dulse.links.keeper")


def stuck(keeper: Keeper, release: Event) -> Task:
    """Add a duty that does not end before it is released, and wait until it has begun."""
    task = Task(0.0, lambda: release.wait(LONG))
    keeper.add(task)
    task.ran.get(timeout=LONG)
    return task


def test_a_duty_that_is_stuck_holds_up_no_other(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    release = Event()
    waiting = Task()
    keeper.add(waiting)
    hanging = stuck(keeper, release)

    waiting.next = 0.0
    keeper.hint(waiting)
    waiting.ran.get(timeout=LONG)

    assert "takes long in the background" in caplog.text
    assert not any(hanging in record.args for record in caplog.records if isinstance(record.args, tuple))
    release.set()
    assert keeper.remove(hanging, LONG)


def test_several_duties_may_be_stuck_at_once(keeper: Keeper) -> None:
    release = Event()
    other = Task()
    keeper.add(other)
    hanging = [stuck(keeper, release) for _ in range(3)]

    settle(keeper)

    release.set()
    assert all(keeper.remove(each, LONG) for each in hanging)


def test_a_duty_is_not_run_again_while_it_is_stuck(keeper: Keeper) -> None:
    release = Event()
    keeper.add(other := Task())
    hanging = stuck(keeper, release)
    settle(keeper)

    hanging.next = 0.0
    keeper.hint(hanging)
    settle(keeper)

    with pytest.raises(Empty):
        hanging.ran.get(block=False)
    hanging.action = None
    release.set()
    hanging.ran.get(timeout=LONG)
    assert keeper.remove(other, LONG)


def test_removal_waits_for_a_duty_that_was_stuck(keeper: Keeper) -> None:
    release = Event()
    keeper.add(other := Task())
    hanging = stuck(keeper, release)
    settle(keeper)

    assert not keeper.remove(hanging, 0.01)
    assert not keeper.remove(hanging, 0.01)
    release.set()

    assert keeper.remove(hanging, LONG)
    assert keeper.remove(other, LONG)


def test_a_duty_that_is_always_due_does_not_keep_others_waiting(keeper: Keeper) -> None:
    class Restless(Task):
        def run(self) -> None:
            self.asked += 1

    restless = Restless(0.0)
    keeper.add(restless)

    settle(keeper)

    assert keeper.remove(restless, LONG)


def test_the_threads_that_were_stuck_end(keeper: Keeper) -> None:
    release = Event()
    keeper.add(other := Task())
    before = keepers_threads()
    hanging = stuck(keeper, release)
    settle(keeper)
    release.set()
    assert keeper.remove(hanging, LONG)
    assert keeper.remove(other, LONG)

    keeper.stop(LONG)

    ended = threading.Event()
    for _ in range(1000):
        if keepers_threads() < before:
            break
        ended.wait(0.01)
    assert keepers_threads() < before
