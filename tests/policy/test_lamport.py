from __future__ import annotations

import pickle
import threading
import time
from contextlib import nullcontext
from heapq import heappop, heappush

from hypothesis import given
from hypothesis import strategies as st

from dulse.policy.lamport import LamportClock, timetuple


def test_a_clock_ticks_forward_by_one() -> None:
    clock = LamportClock(5)

    assert clock.forward() == 6
    assert clock.value == 6


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_an_adjusted_clock_is_later_than_both(own: int, other: int) -> None:
    clock = LamportClock(own)

    assert clock.adjust(other) == clock.value == max(own, other) + 1


def test_the_mutex_may_be_replaced() -> None:
    clock = LamportClock()
    clock.mutex = nullcontext()

    assert (clock.forward(), clock.adjust(7)) == (1, 8)


def test_the_kind_of_lock_may_be_chosen() -> None:
    assert isinstance(LamportClock(0, nullcontext).mutex, nullcontext)


class Slow(int):
    """Lets other threads run in the middle of an addition."""

    def __add__(self, other: int) -> Slow:
        time.sleep(0.0001)
        return Slow(int(self) + other)


def test_no_tick_of_several_threads_is_lost() -> None:
    clock, start = LamportClock(Slow(0)), threading.Barrier(4)

    def tick() -> None:
        start.wait(10)
        for _ in range(20):
            clock.forward()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clock.value == 80


def test_the_earliest_event_is_that_of_the_least_clock_then_of_the_least_id() -> None:
    clock = LamportClock()

    assert clock.sort_heap([(4, "b"), (4, "a"), (9, "0")]) == (4, "a")
    assert clock.sort_heap([(1, "z"), (4, "a")]) == (1, "z")
    assert clock.sort_heap([(7, "x")]) == (7, "x")


def test_a_clock_reads_as_its_value() -> None:
    assert str(LamportClock(3)) == "3"
    assert repr(LamportClock(3)) == "<LamportClock: 3>"


def test_times_are_ordered_by_clock_then_id() -> None:
    early, late = timetuple(1, 9.0, "b"), timetuple(2, 1.0, "a")

    assert early < late
    assert late > early
    assert timetuple(1, 9.0, "a") < early
    assert early <= early  # noqa: PLR0124 - that is what the operator has to say
    assert not early >= late


def test_times_without_a_clock_are_ordered_by_timestamp() -> None:
    assert timetuple(0, 1.0, "z") < timetuple(5, 2.0, "a")
    assert timetuple(None, 3.0, "a") > timetuple(1, 2.0, "z")


def test_times_order_a_heap_whatever_they_carry() -> None:
    heap: list[timetuple] = []
    for clock in (3, 1, 2):
        heappush(heap, timetuple(clock, 0.0, "id", {"not": "comparable"}))

    assert [heappop(heap).clock for _ in range(3)] == [1, 2, 3]


def test_a_time_has_named_parts_and_can_be_pickled() -> None:
    when = timetuple(1, 2.0, "worker", {"a": 1})

    assert (when.clock, when.timestamp, when.id, when.obj) == (1, 2.0, "worker", {"a": 1})
    assert pickle.loads(pickle.dumps(when)) == when
