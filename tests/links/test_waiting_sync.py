from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections.abc import Callable

import pytest

from dulse.links.waiting.sync import Event, Lock, Mutex, Signal, eagerly, finished, run_blocking, sleep, spawn
from tests.links.rig import LONG, run_program


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


# ---------------------------------------------------------------------------------------------- signals


def test_a_notification_between_ticket_and_wait_is_not_lost() -> None:
    changed = Signal()
    seen = changed.ticket()
    changed.notify()

    assert changed.wait(LONG, seen)


def test_a_notification_before_the_ticket_wakes_nobody() -> None:
    changed = Signal()
    changed.notify()

    assert not changed.wait(0.01, changed.ticket())
    assert not changed.wait(0.01)


@pytest.mark.parametrize("seconds", [0.0, -1.0, -math.inf])
def test_a_wait_without_time_tells_whether_there_was_a_notification(seconds: float) -> None:
    changed = Signal()
    seen = changed.ticket()

    assert not changed.wait(seconds, seen)
    changed.notify()
    assert changed.wait(seconds, seen)


def test_a_wait_lasts_as_long_as_it_should() -> None:
    begun = time.monotonic()

    assert not Signal().wait(0.05)
    assert time.monotonic() - begun >= 0.05


def test_a_wait_longer_than_one_sleep_goes_on_after_it() -> None:
    changed, begun = Signal(longest_sleep=0.001), time.monotonic()

    assert not changed.wait(0.05)
    assert time.monotonic() - begun >= 0.05


def test_one_notification_wakes_all_who_wait() -> None:
    changed, woken = Signal(longest_sleep=math.inf), list[bool]()
    seen = changed.ticket()
    threads = [in_thread(lambda: woken.append(changed.wait(LONG, seen))) for _ in range(8)]
    while len(changed._parked) < len(threads):
        time.sleep(0.001)

    changed.notify()
    for thread in threads:
        thread.join(LONG)

    assert woken == [True] * 8


def test_no_notification_is_lost_between_threads() -> None:
    # Sleeps without an end between two looks: a single lost wake-up would end the wait in failure.
    ball, returned = Signal(longest_sleep=math.inf), Signal(longest_sleep=math.inf)
    hits, rounds = [0, 0], 3000

    def hit(own: int, incoming: Signal, outgoing: Signal, ahead: int) -> None:
        while hits[own] < rounds:
            seen = incoming.ticket()
            if hits[1 - own] + ahead > hits[own]:
                hits[own] += 1
                outgoing.notify()
            elif not incoming.wait(LONG, seen):
                return

    threads = [in_thread(lambda: hit(0, ball, returned, 1)), in_thread(lambda: hit(1, returned, ball, 0))]
    for thread in threads:
        thread.join(LONG)

    assert hits == [rounds, rounds]


def test_notifications_of_many_threads_wake_many_waiters() -> None:
    changed, counted, goal = Signal(longest_sleep=math.inf), [0] * 4, 500
    reached: list[bool] = []

    def work(own: int) -> None:
        for _ in range(goal):
            counted[own] += 1
            changed.notify()

    def watch() -> None:
        while True:
            seen = changed.ticket()
            if sum(counted) == 4 * goal:
                reached.append(True)
                return
            if not changed.wait(LONG, seen):
                return

    watchers = [in_thread(watch) for _ in range(4)]
    workers = [in_thread(lambda own=own: work(own)) for own in range(4)]  # type: ignore[misc]
    for thread in workers + watchers:
        thread.join(LONG)

    assert reached == [True] * 4


def test_nobody_is_left_parked() -> None:
    changed = Signal()
    changed.wait(0.001)
    seen = changed.ticket()
    changed.notify()
    changed.wait(1.0, seen)

    assert repr(changed) == "<Signal that 0 wait for>"


def test_two_notifications_at_once_do_not_disturb_each_other() -> None:
    changed = Signal()
    changed._parked.append(threading.Lock())  # as another notify leaves it that has released and not yet removed it

    changed.notify()

    assert repr(changed) == "<Signal that 0 wait for>"


def test_an_interrupted_notification_is_made_up_for_at_the_next_look() -> None:
    changed = Signal(longest_sleep=0.01)
    woken: list[bool] = []
    waiting = in_thread(lambda: woken.append(changed.wait(LONG)))
    while not changed._parked:
        time.sleep(0.001)

    changed._ticket = object()  # as far as a notify comes that an exception ends right after its first line
    waiting.join(LONG)

    assert woken == [True]


# ------------------------------------------------------------------------------------------------ events


def test_an_event_is_waited_for_until_another_thread_sets_it() -> None:
    ready, going = Event(), Event()

    def set_when_going() -> None:
        going.wait(LONG)
        ready.set()

    thread = in_thread(set_when_going)
    assert not ready.is_set()
    going.set()

    assert ready.wait(LONG)
    assert ready.is_set()
    thread.join(LONG)


def test_an_event_set_at_the_last_moment_is_not_missed() -> None:
    class Late(Signal):
        __slots__ = ()

        def ticket(self) -> object:
            ready.set()  # as another thread may do just before
            return super().ticket()

    ready = Event()
    ready._signal = Late()

    assert ready.wait(LONG)


def test_no_setting_of_an_event_is_lost_between_threads() -> None:
    asked, answered = Event(), Event()
    asked._signal = Signal(longest_sleep=math.inf)
    rounds = 3000

    def answer() -> None:
        for _ in range(rounds):
            if not asked.wait(LONG):
                return
            asked.clear()
            answered.set()

    thread = in_thread(answer)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(rounds):
            asked.set()
            assert answered.wait(LONG)
            answered.clear()
    finally:
        sys.setswitchinterval(interval)
    thread.join(LONG)


def test_an_event_that_is_set_is_not_waited_for() -> None:
    ready = Event()
    ready.set()

    assert ready.wait(0)
    assert ready.wait(-1)


def test_an_event_that_is_not_set_is_waited_for_in_vain() -> None:
    ready = Event()
    ready.set()
    ready.clear()

    assert not ready.wait(0.01)
    assert repr(ready) == "<Event not set>"


# ------------------------------------------------------------------------------------------------ others


def test_the_holder_of_a_lock_may_take_it_again() -> None:
    lock, mutex = Lock(), Mutex()

    with lock, lock, mutex, mutex:
        pass

    with lock:
        taken: list[bool] = []
        in_thread(lambda: taken.append(lock.acquire(blocking=False))).join(LONG)
        assert taken == [False]


def test_a_sleep_lasts_as_long_as_it_should() -> None:
    begun = time.monotonic()

    sleep(0.02)

    assert time.monotonic() - begun >= 0.02


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_a_sleep_of_no_time_ends_at_once(seconds: float) -> None:
    sleep(seconds)


def test_an_eager_call_is_made_at_once() -> None:
    calls: list[str] = []

    assert eagerly(lambda: calls.append("now")) is None  # type: ignore[func-returns-value]
    assert calls == ["now"]


def test_what_a_callback_returned_is_finished_already() -> None:
    assert finished("value") == "value"


def test_blocking_calls_are_made_directly() -> None:
    assert run_blocking(lambda a, b: (a, b, threading.current_thread()), 1, 2) == (1, 2, threading.current_thread())


def test_spawned_work_goes_on_beside_and_can_be_joined() -> None:
    go, done = Event(), list[str]()

    def work() -> None:
        go.wait(LONG)
        done.append(threading.current_thread().name)

    spawned = spawn(work, "worker")
    assert spawned.running()
    assert not spawned.join(0.01)
    assert repr(spawned) == "<Spawned worker running>"
    go.set()

    assert spawned.join(LONG)
    assert not spawned.running()
    assert done == ["worker"]


def test_an_exception_of_spawned_work_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        assert spawn(work, "worker").join(LONG)

    assert "worker failed in the background" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_the_blocking_form_imports_no_asyncio() -> None:
    program = run_program("import sys, dulse.links.waiting.sync; print('asyncio' in sys.modules)")

    assert program.stdout == "False\n"
