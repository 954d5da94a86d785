from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import cycle, islice

import pytest

from dulse import errors
from dulse.policy.failover import failover


def chance() -> float:
    return 0.0


def test_round_robin_takes_the_addresses_in_turn() -> None:
    order = failover("round-robin", ["a", "b", "c"], chance)

    assert list(islice(order, 7)) == ["a", "b", "c", "a", "b", "c", "a"]


def test_shuffle_tries_every_address_once_in_each_round() -> None:
    order = failover("shuffle", "abcde", random.Random(1).random)

    rounds = [tuple(islice(order, 5)) for _ in range(40)]

    assert all(sorted(one) == list("abcde") for one in rounds)


def test_shuffle_gives_each_address_every_place_alike() -> None:
    order = failover("shuffle", "abc", random.Random(2).random)

    rounds = ["".join(islice(order, 3)) for _ in range(6000)]

    counts = [rounds.count(one) for one in ("abc", "acb", "bac", "bca", "cab", "cba")]
    assert min(counts) > 850
    assert max(counts) < 1150


def test_a_function_decides_the_order() -> None:
    order = failover(lambda known: cycle(reversed(known)), ["a", "b"], chance)

    assert list(islice(order, 3)) == ["b", "a", "b"]


def test_a_function_whose_order_ends_is_asked_again() -> None:
    calls = 0

    def in_order(known: list[str]) -> Iterable[str]:
        nonlocal calls
        calls += 1
        return known

    assert list(islice(failover(in_order, ["a", "b"], chance), 4)) == ["a", "b", "a", "b"]
    assert calls == 2


def test_a_function_that_gives_no_address_is_refused_instead_of_asked_for_ever() -> None:
    order = failover(lambda _: [], ["a"], chance)

    with pytest.raises(errors.InvalidArgument, match="gave no address"):
        next(order)


def test_an_unknown_strategy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(errors.InvalidArgument, match="'random' is unknown: it is one of 'round-robin', 'shuffle'"):
        failover("random", ["a"], chance)


@pytest.mark.parametrize("strategy", ["round-robin", "shuffle", lambda known: known])
def test_no_addresses_are_refused(strategy: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="no broker to choose from"):
        failover(strategy, [], chance)
