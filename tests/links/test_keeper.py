from __future__ import annotations

import math
import threading
from time import monotonic

from dulse.links.keeper import Keeper
from dulse.links.waiting.sync import Event
from tests.links.rig import LONG, Task, settle


def test_a_duty_that_is_due_is_run(keeper: Keeper) -> None:
    task = Task(due=0.0)

    keeper.add(task)

    task.ran.get(timeout=LONG)


def test_a_duty_is_not_run_before_it_is_due(keeper: Keeper) -> None:
    due = monotonic() + 0.05
    task = Task(due=due)

    keeper.add(task)

    assert task.ran.get(timeout=LONG) >= due


def test_a_duty_is_run_again_and_again(keeper: Keeper) -> None:
    task = Task(due=0.0)
    task.action = lambda: setattr(task, "next", 0.0)

    keeper.add(task)

    for _ in range(5):
        task.ran.get(timeout=LONG)


def test_duties_are_run_in_the_order_in_which_they_are_due(keeper: Keeper) -> None:
    order: list[str] = []
    now = monotonic()
    late = Task(now + 0.04, lambda: order.append("late"))
    early = Task(now + 0.02, lambda: order.append("early"))

    keeper.add(late)
    keeper.add(early)
    late.ran.get(timeout=LONG)
    settle(keeper)

    assert order == ["early", "late"]


def test_a_hint_brings_a_duty_forward(keeper: Keeper) -> None:
    task = Task(due=monotonic() + 1000)
    keeper.add(task)
    settle(keeper)

    task.next = 0.0
    keeper.hint(task)

    task.ran.get(timeout=LONG)


def test_a_duty_that_was_put_off_without_a_word_is_not_run(keeper: Keeper) -> None:
    due = monotonic() + 0.05
    task = Task(due=due)
    other = Task(due=due + 0.01)
    keeper.add(task)
    keeper.add(other)
    settle(keeper)

    task.next = math.inf
    other.ran.get(timeout=LONG)

    assert task.ran.empty()


def test_a_hint_for_a_duty_that_is_not_served_changes_nothing(keeper: Keeper) -> None:
    keeper.hint(Task(due=0.0))

    assert repr(keeper) == "<Keeper without a thread, 0 duties>"


def test_a_duty_added_twice_is_served_once(keeper: Keeper) -> None:
    task = Task(due=0.0)

    keeper.add(task)
    keeper.add(task)
    task.ran.get(timeout=LONG)
    settle(keeper)

    assert task.ran.empty()
    assert repr(keeper) == "<Keeper asleep, 1 duties>"


def test_nobody_is_asked_without_a_reason(keeper: Keeper) -> None:
    idle = Task()
    keeper.add(idle)

    for _ in range(20):
        settle(keeper)

    assert idle.asked == 1


def test_many_hints_at_once_are_one(keeper: Keeper) -> None:
    release = Event()
    blocker, task = Task(0.0, lambda: release.wait(LONG)), Task()
    keeper.add(task)
    settle(keeper)
    keeper.add(blocker)
    blocker.ran.get(timeout=LONG)

    for _ in range(100):
        keeper.hint(task)
    release.set()
    settle(keeper)

    assert task.asked == 2


def test_many_hints_leave_no_trace(keeper: Keeper) -> None:
    task = Task()
    task.action = lambda: setattr(task, "next", monotonic() + 1000)
    keeper.add(task)
    for _ in range(20):
        task.next = monotonic() + 0.02
        keeper.hint(task)
        settle(keeper)

    task.ran.get(timeout=LONG)
    last = Task(due=monotonic() + 0.03)
    keeper.add(last)
    last.ran.get(timeout=LONG)
    settle(keeper)

    assert len(keeper._heap) == 1


def test_a_duty_that_is_always_due_leaves_time_for_others(keeper: Keeper) -> None:
    greedy = Task(due=0.0)
    greedy.action = lambda: setattr(greedy, "next", 0.0)
    keeper.add(greedy)

    settle(keeper)


def test_all_duties_share_one_daemon_thread(keeper: Keeper) -> None:
    threads: list[threading.Thread] = []
    for _ in range(3):
        keeper.add(Task(due=0.0))
        task = Task(0.0, lambda: threads.append(threading.current_thread()))
        keeper.add(task)
        task.ran.get(timeout=LONG)
    settle(keeper)

    assert len(set(threads)) == 1
    assert threads[0].daemon
    assert threads[0].name == "dulse-keeper"
