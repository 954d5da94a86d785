from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.policy.retry import Attempts, RetryPolicy


def never() -> float:
    return 0.0


def almost_one() -> float:
    return 1.0 - 2**-53


def first(policy: RetryPolicy, count: int) -> list[float]:
    return list(islice(policy.delays(never), count))


def test_delays_grow_by_a_step_up_to_the_longest() -> None:
    policy = RetryPolicy(interval_start=2, interval_step=2, interval_max=5)

    assert first(policy, 4) == [2, 4, 5, 5]


def test_the_first_delay_is_no_longer_than_the_longest() -> None:
    assert first(RetryPolicy(interval_start=9, interval_max=5), 1) == [5]


def test_there_is_one_delay_for_each_retry() -> None:
    assert len(first(RetryPolicy(max_retries=3), 10)) == 3


def test_no_retries_are_no_delays() -> None:
    assert first(RetryPolicy(max_retries=0), 10) == []


def test_without_a_limit_the_delays_go_on() -> None:
    assert len(first(RetryPolicy(max_retries=None), 10_000)) == 10_000


def test_chance_takes_at_most_its_share_of_a_delay() -> None:
    policy = RetryPolicy(interval_start=10, interval_step=0, jitter=0.2)

    assert next(policy.delays(never)) == 10
    assert next(policy.delays(almost_one)) == pytest.approx(8)


@given(st.floats(0, 1), st.floats(0, 1, exclude_max=True), st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))
def test_no_delay_is_negative_or_longer_than_the_longest(
    jitter: float, chance: float, start: float, step: float, longest: float
) -> None:
    policy = RetryPolicy(interval_start=start, interval_step=step, interval_max=longest, jitter=jitter)

    assert all(0 <= delay <= longest for delay in islice(policy.delays(lambda: chance), 50))


def test_a_mapping_as_kombus_becomes_a_policy() -> None:
    policy = RetryPolicy.from_mapping(
        {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2, "errback": print}
    )

    assert policy == RetryPolicy(max_retries=3, interval_start=0.0, interval_step=0.2, interval_max=0.2)


def test_what_a_mapping_does_not_name_comes_from_the_defaults() -> None:
    defaults = RetryPolicy(max_retries=7, interval_start=3, timeout=9)

    policy = RetryPolicy.from_mapping({"interval_start": 1, "connect_retries_timeout": 5}, defaults)

    assert policy == RetryPolicy(max_retries=7, interval_start=1, timeout=5)


def test_an_unknown_name_in_a_mapping_is_refused() -> None:
    with pytest.raises(errors.UnknownOption, match="A retry policy has no option 'max_retrys'; did you mean 'max_ret"):
        RetryPolicy.from_mapping({"max_retrys": 3})


def test_a_value_out_of_range_in_a_mapping_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="'interval_step' of a retry policy must be a number of seconds"):
        RetryPolicy.from_mapping({"interval_step": -1})


def test_after_the_last_retry_there_is_no_pause() -> None:
    attempts = Attempts(RetryPolicy(max_retries=2), 100.0, never)

    assert [attempts.pause(100.0) for _ in range(4)] == [1, 2, None, None]
    assert attempts.failures == 4


def test_a_timeout_counts_from_the_start() -> None:
    attempts = Attempts(RetryPolicy(timeout=5), 100.0, never)

    assert attempts.pause(104.9) is not None
    assert attempts.pause(105.0) is None


def test_the_callers_deadline_ends_the_attempts_of_a_policy_without_limits() -> None:
    attempts = Attempts(RetryPolicy(max_retries=None), 100.0, never, deadline=130.0)

    assert attempts.pause(131.0) is None


@pytest.mark.parametrize(("timeout", "deadline"), [(5, 200.0), (100, 105.0)])
def test_the_earlier_of_timeout_and_deadline_counts(timeout: float, deadline: float) -> None:
    attempts = Attempts(RetryPolicy(timeout=timeout), 100.0, never, deadline=deadline)

    assert attempts.deadline == 105.0


def test_a_pause_ends_at_the_deadline() -> None:
    attempts = Attempts(RetryPolicy(interval_start=30), 100.0, never, deadline=110.0)

    assert attempts.pause(104.0) == 6.0


def test_without_any_limit_there_is_always_another_try() -> None:
    attempts = Attempts(RetryPolicy(), 0.0, never)

    assert all(attempts.pause(1e9 * turn) is not None for turn in range(100))


def test_attempts_say_how_far_they_are() -> None:
    attempts = Attempts(RetryPolicy(timeout=5), 100.0, never)
    attempts.pause(100.0)

    assert repr(attempts) == "<Attempts 1 failed, until 105.000>"
