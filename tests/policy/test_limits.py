from __future__ import annotations

import pytest

from dulse import errors
from dulse.policy.clocks import VirtualClock
from dulse.policy.limits import TokenBucket


def bucket(clock: VirtualClock, fill_rate: float = 2, capacity: float = 4) -> TokenBucket:
    return TokenBucket(fill_rate, capacity, clock.monotonic)


def test_a_bucket_begins_full() -> None:
    full = bucket(VirtualClock())

    assert [full.can_consume() for _ in range(5)] == [True, True, True, True, False]


def test_tokens_come_back_at_the_fill_rate() -> None:
    clock = VirtualClock()
    used = bucket(clock)
    used.can_consume(4)

    clock.advance(1)

    assert used.can_consume(2)
    assert not used.can_consume(1)


def test_a_bucket_never_holds_more_than_its_capacity() -> None:
    clock = VirtualClock()
    full = bucket(clock)

    clock.advance(3600)

    assert not full.can_consume(5)
    assert full.can_consume(4)


def test_tokens_that_are_not_there_are_not_taken() -> None:
    full = bucket(VirtualClock())

    assert not full.can_consume(5)
    assert full.can_consume(4)


def test_the_expected_time_is_what_the_missing_tokens_take() -> None:
    clock = VirtualClock()
    used = bucket(clock)
    used.can_consume(4)

    assert used.expected_time(3) == 1.5
    clock.advance(0.5)
    assert used.expected_time(3) == 1.0
    assert used.expected_time(1) == 0.0


def test_things_wait_in_line_for_their_token() -> None:
    waiting = bucket(VirtualClock())
    waiting.add("a")
    waiting.add("b")

    assert waiting.pop() == "a"
    waiting.clear_pending()
    with pytest.raises(IndexError):
        waiting.pop()


def test_a_bucket_runs_on_the_systems_clock_by_default() -> None:
    assert TokenBucket(1).can_consume()


@pytest.mark.parametrize(("fill_rate", "capacity"), [(0, 1), (-1, 1), (1, 0), (float("nan"), 1)])
def test_a_bucket_that_would_stay_empty_is_refused(fill_rate: float, capacity: float) -> None:
    with pytest.raises(errors.InvalidArgument, match="above 0"):
        TokenBucket(fill_rate, capacity)


def test_a_bucket_says_how_full_it_is() -> None:
    assert repr(bucket(VirtualClock())) == "<TokenBucket 4 of 4, 2 a second>"
