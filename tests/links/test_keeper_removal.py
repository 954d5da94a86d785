from __future__ import annotations

import gc
import threading
import time
import weakref
from queue import Empty, Queue

import pytest

from dulse.links import keeper as module
from dulse.links.keeper import Keeper
from dulse.links.waiting.sync import Event
from tests.links.rig import LONG, Task, settle


def test_a_removed_duty_is_not_run(keeper: Keeper) -> None:
    task = Task()
    keeper.add(task)
    assert keeper.remove(task)

    task.next = 0.0
    keeper.hint(task)
    settle(keeper)

    assert task.ran.empty()


def test_a_duty_removed_at_the_last_moment_is_not_run(keeper: Keeper) -> None:
    class Hesitant(Task):
        def due(self) -> float:
            if self.asked == 1:  # once when it was added, and once before it is run
                keeper.remove(self)
            return super().due()

    hesitant = Hesitant(due=0.0)
    keeper.add(hesitant)
    settle(keeper)

    assert hesitant.asked == 2
    assert hesitant.ran.empty()


def test_removing_what_is_not_served_changes_nothing(keeper: Keeper) -> None:
    assert keeper.remove(Task())


def test_removal_waits_for_a_duty_that_is_running(keeper: Keeper) -> None:
    release, ended = Event(), list[str]()

    def work() -> None:
        release.wait(LONG)
        ended.append("ended")

    task = Task(0.0, work)
    keeper.add(task)
    task.ran.get(timeout=LONG)

    assert not keeper.remove(task, 0.01)
    assert ended == []
    release.set()
    assert keeper.remove(task, LONG)
    assert ended == ["ended"]


def test_a_duty_removed_while_it_runs_is_asked_no_more(keeper: Keeper) -> None:
    release = Event()
    task = Task(0.0, lambda: release.wait(LONG))
    keeper.add(task)
    task.ran.get(timeout=LONG)
    asked = task.asked

    keeper.remove(task, 0.0)
    release.set()
    settle(keeper)

    assert task.asked == asked


def test_a_duty_may_remove_another_that_is_due_as_well(keeper: Keeper) -> None:
    release = Event()
    blocker, second = Task(0.0, lambda: release.wait(LONG)), Task(due=1.0)
    first = Task(0.0, lambda: keeper.remove(second))
    keeper.add(blocker)
    blocker.ran.get(timeout=LONG)

    keeper.add(first)
    keeper.add(second)
    release.set()
    first.ran.get(timeout=LONG)
    settle(keeper)

    assert second.ran.empty()


def test_a_duty_may_remove_itself(keeper: Keeper) -> None:
    answers: Queue[bool] = Queue()
    task = Task(0.0, lambda: answers.put(keeper.remove(task, LONG)))

    keeper.add(task)

    assert answers.get(timeout=LONG)
    settle(keeper)
    assert repr(keeper) == "<Keeper asleep, 0 duties>"


def test_a_duty_may_remove_and_add_others(keeper: Keeper) -> None:
    other, third = Task(), Task(due=0.0)

    def swap() -> None:
        keeper.remove(other, LONG)
        keeper.add(third)

    keeper.add(other)
    task = Task(0.0, swap)
    keeper.add(task)

    third.ran.get(timeout=LONG)


def test_a_duty_that_nobody_refers_to_is_forgotten(keeper: Keeper) -> None:
    task = Task(due=0.0)
    keeper.add(task)
    task.ran.get(timeout=LONG)
    settle(keeper)
    gone = weakref.ref(task)

    del task
    gc.collect()

    assert gone() is None
    assert repr(keeper) == "<Keeper asleep, 0 duties>"


def test_the_thread_ends_after_the_last_duty_and_starts_with_the_next(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    task = Task(due=0.0)
    for _ in range(3):
        keeper.add(task)
        thread = keeper._thread
        assert thread is not None
        task.ran.get(timeout=LONG)
        keeper.remove(task, LONG)
        thread.join(LONG)

        assert not thread.is_alive()
        assert repr(keeper) == "<Keeper without a thread, 0 duties>"
        task.next = 0.0


def test_the_thread_ends_after_the_last_duty_is_forgotten(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    task = Task()
    keeper.add(task)
    settle(keeper)
    thread = keeper._thread
    assert thread is not None
    while not keeper._changed._parked:
        time.sleep(0.001)

    del task
    gc.collect()
    thread.join(LONG)

    assert not thread.is_alive()


def test_a_stopped_keeper_serves_nothing_any_more() -> None:
    keeper = Keeper()
    task = Task(due=0.0)
    keeper.add(task)
    task.ran.get(timeout=LONG)

    keeper.stop(LONG)
    thread = keeper._thread
    task.next = 0.0
    keeper.add(task)
    keeper.hint(task)

    assert keeper._thread is thread
    with pytest.raises(Empty):
        task.ran.get(timeout=0.05)


def test_garbage_is_collected_while_another_thread_holds_the_mutex(keeper: Keeper) -> None:
    """The thread that begins may be the one that collects; whoever starts it waits, and holds the mutex."""
    duties = [Task()]
    keeper.add(duties[0])
    collector = threading.Thread(target=duties.clear)
    with keeper._mutex:
        collector.start()
        collector.join(LONG)
        assert not collector.is_alive()
    settle(keeper)
    assert keeper._entries == {}
