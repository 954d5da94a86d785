from __future__ import annotations

import gc
import math
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from queue import Empty, Queue
from time import monotonic

import pytest

from dulse import errors
from dulse.links import keeper as module
from dulse.links.keeper import Keeper
from dulse.links.waiting.sync import Event

LONG = 100.0
"""Seconds: longer than a test may take, so that waiting in vain is a failure."""


class Task:
    """A duty that is due when told so, does what it is told, and says that it ran."""

    def __init__(self, due: float = math.inf, action: Callable[[], object] | None = None) -> None:
        self.next = due
        self.action = action
        self.asked = 0
        self.ran: Queue[float] = Queue()

    def due(self) -> float:
        self.asked += 1
        return self.next

    def run(self) -> None:
        self.next = math.inf
        self.ran.put(monotonic())
        if self.action is not None:
            self.action()

    def __repr__(self) -> str:
        return "<Task>"


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    yield keeper
    keeper.stop(LONG)


def settle(keeper: Keeper) -> None:
    """Wait until the keeper has done everything it was told so far."""
    marker = Task(due=0.0)
    keeper.add(marker)
    marker.ran.get(timeout=LONG)
    assert keeper.remove(marker, LONG)


def run_program(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=50, check=False)


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


# ------------------------------------------------------------------------------------------------ failures


@pytest.mark.parametrize("failure", [ZeroDivisionError, SystemExit])
def test_a_duty_that_raises_is_logged_and_the_others_go_on(
    keeper: Keeper, failure: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise failure

    bad = Task(0.0, fail)
    keeper.add(bad)
    bad.ran.get(timeout=LONG)
    settle(keeper)

    assert "<Task> failed in the background" in caplog.text
    assert failure.__name__ in caplog.text


def test_a_duty_that_raises_is_not_run_again_at_once(keeper: Keeper) -> None:
    def fail() -> None:
        bad.next = 0.0
        raise ZeroDivisionError

    bad = Task(0.0, fail)
    keeper.add(bad)
    bad.ran.get(timeout=LONG)
    for _ in range(20):
        settle(keeper)

    assert bad.ran.empty()


def test_a_duty_that_raised_is_run_again_after_a_pause(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)

    def fail() -> None:
        bad.next = 0.0
        raise ZeroDivisionError

    bad = Task(0.0, fail)
    keeper.add(bad)

    for _ in range(3):
        bad.ran.get(timeout=LONG)


def test_a_duty_that_cannot_say_when_it_is_due_is_logged_and_asked_again(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)

    class Confused(Task):
        def due(self) -> float:
            if super().due() == 0.0 and self.asked < 3:
                raise ZeroDivisionError
            return self.next

    confused = Confused(due=0.0)
    keeper.add(confused)
    confused.ran.get(timeout=LONG)

    assert caplog.text.count("could not say when it is due") == 2


def test_a_thread_that_cannot_be_started_is_an_error_and_the_duty_is_not_served(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    task = Task(due=0.0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(errors.OperationalError, match="can't start new thread"):
            keeper.add(task)
    assert repr(keeper) == "<Keeper without a thread, 0 duties>"

    keeper.add(task)
    task.ran.get(timeout=LONG)


# ------------------------------------------------------------------------------------------------- removal


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


# ------------------------------------------------------------------------------------------------- signals


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")
def test_the_thread_leaves_signals_to_the_others(keeper: Keeper) -> None:
    masks: Queue[set[signal.Signals | int]] = Queue()
    task = Task(0.0, lambda: masks.put(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    keeper.add(task)

    assert {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD} <= masks.get(timeout=LONG)
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")
def test_a_greenlet_in_the_place_of_the_thread_leaves_the_signals_as_they_are() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])

    module._block_signals(threading.get_native_id())

    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


# ------------------------------------------------------------------------------------------------- processes

TASK = """
import gc, math, os, sys, threading, time
from queue import Queue
from dulse.links.keeper import keeper

class Task:
    def __init__(self, due=0.0): self.next = due; self.ran = Queue()
    def due(self): return self.next
    def run(self): self.next = math.inf; self.ran.put(threading.current_thread())
"""


def test_a_forked_child_begins_without_duties_and_has_a_thread_of_its_own() -> None:
    program = run_program(
        TASK
        + """
mine = Task(); keeper().add(mine); mine.ran.get(timeout=20)
child = os.fork()
if child == 0:
    assert repr(keeper()) == "<Keeper without a thread, 0 duties>", keeper()
    assert keeper().remove(mine)
    own = Task(); keeper().add(own); own.ran.get(timeout=20)
    assert mine.ran.empty()
    os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
mine.next = 0.0; keeper().hint(mine); mine.ran.get(timeout=20)
print("parent goes on")
"""
    )

    assert program.stdout == "parent goes on\n"


def test_a_child_forked_while_another_thread_holds_the_lock_is_not_held_up() -> None:
    program = run_program(
        TASK
        + """
held, release = threading.Event(), threading.Event()
def hold():
    with keeper()._mutex:
        held.set(); release.wait(20)
threading.Thread(target=hold, daemon=True).start(); held.wait(20)
child = os.fork()
if child == 0:
    own = Task(); keeper().add(own); own.ran.get(timeout=20)
    os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
release.set()
"""
    )

    assert program.stdout == "3\n"


def test_the_thread_does_not_keep_a_program_from_ending() -> None:
    program = run_program(
        TASK
        + """
tasks = [Task(), Task(math.inf), Task(time.monotonic() + 1000)]
for task in tasks: keeper().add(task)
tasks[0].ran.get(timeout=20)
"""
    )

    assert (program.returncode, program.stderr) == (0, "")


def test_what_runs_at_the_end_of_a_program_finds_the_keeper_at_work() -> None:
    program = run_program(
        TASK
        + """
import atexit
late = Task(math.inf); keeper().add(late)
def at_the_end():
    late.next = 0.0; keeper().hint(late); late.ran.get(timeout=20); print("served")
atexit.register(at_the_end)
"""
    )

    assert program.stdout == "served\n"
