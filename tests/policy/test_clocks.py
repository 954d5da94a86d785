from __future__ import annotations

import threading
import time

import pytest

from dulse import errors
from dulse.policy.clocks import Clock, SystemClock, VirtualClock


def test_the_system_clock_is_the_systems() -> None:
    clock: Clock = SystemClock()

    assert time.monotonic() <= clock.monotonic() <= time.monotonic()
    assert time.time() - 1 <= clock.time() <= time.time() + 1


def test_the_system_clock_never_calls_back() -> None:
    unsubscribe = SystemClock().on_advance(pytest.fail)

    assert unsubscribe() is None


def test_a_virtual_clock_stands_still_until_it_is_advanced() -> None:
    clock: Clock = VirtualClock(start=1000.0)

    assert (clock.monotonic(), clock.time()) == (0.0, 1000.0)
    assert (clock.monotonic(), clock.time()) == (0.0, 1000.0)


def test_a_virtual_clock_passes_a_day_at_once() -> None:
    clock = VirtualClock(start=1000.0)

    clock.advance(86400)

    assert (clock.monotonic(), clock.time()) == (86400.0, 87400.0)


def test_a_virtual_clock_goes_to_a_moment_and_never_back() -> None:
    clock = VirtualClock()

    clock.advance_to(10.0)
    clock.advance_to(5.0)

    assert clock.monotonic() == 10.0


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_virtual_clock_refuses_to_go_back(seconds: float) -> None:
    clock = VirtualClock()

    with pytest.raises(errors.InvalidArgument, match="never goes back"):
        clock.advance(seconds)

    assert clock.monotonic() == 0.0


def test_whoever_asked_is_called_after_the_jump() -> None:
    clock, seen = VirtualClock(), list[float]()
    clock.on_advance(lambda: seen.append(clock.monotonic()))

    clock.advance(1)
    clock.advance_to(5)

    assert seen == [1.0, 5.0]


def test_whoever_unsubscribed_is_called_no_more() -> None:
    clock, seen = VirtualClock(), list[float]()
    unsubscribe = clock.on_advance(lambda: seen.append(clock.monotonic()))
    clock.advance(1)

    unsubscribe()
    unsubscribe()
    clock.advance(1)

    assert seen == [1.0]


def test_the_same_function_may_ask_twice_and_end_one_of_both() -> None:
    clock, calls = VirtualClock(), list[None]()

    def note() -> None:
        calls.append(None)

    clock.on_advance(note)
    clock.on_advance(note)()
    clock.advance(1)

    assert len(calls) == 1


def test_a_callback_may_advance_the_clock_and_unsubscribe() -> None:
    clock = VirtualClock()

    def once_more() -> None:
        unsubscribe()
        clock.advance(10)

    unsubscribe = clock.on_advance(once_more)
    clock.advance(1)

    assert clock.monotonic() == 11.0


class Slow(float):
    """Lets other threads run in the middle of an addition."""

    def __radd__(self, other: float) -> float:
        time.sleep(0.0001)
        return float(self) + other


def test_no_advance_of_several_threads_is_lost() -> None:
    clock, start = VirtualClock(), threading.Barrier(4)

    def advance() -> None:
        start.wait(10)
        for _ in range(20):
            clock.advance(Slow(1))

    threads = [threading.Thread(target=advance) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clock.monotonic() == 80.0


def test_a_virtual_clock_shows_what_time_it_is() -> None:
    clock = VirtualClock(start=1000.0)
    clock.advance(2.5)

    assert repr(clock) == "<VirtualClock at 1002.500, advanced by 2.500 s>"
