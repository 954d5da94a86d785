from __future__ import annotations

import re

import pytest

from dulse import errors
from dulse.errors import MatcherNotInstalled
from dulse.policy.matchers import MatcherRegistry, match


@pytest.mark.parametrize(
    ("data", "pattern", "expected"),
    [
        ("worker@a.example", "worker@*", True),
        ("worker@a.example", "worker@?.example", True),
        ("worker@a.example", "worker@[bc]*", False),
        ("Worker", "worker", False),
        ("a.b", "a.b.c", False),
    ],
)
def test_wildcards_are_the_default(data: str, pattern: str, expected: bool) -> None:
    assert match(data, pattern) is expected


def test_a_regular_expression_matches_from_the_start() -> None:
    assert match("worker-12", r"worker-\d+", "pcre") is True
    assert match("a worker-12", r"worker-\d+", "pcre") is False


def test_a_matcher_takes_keywords() -> None:
    assert match("WORKER", "worker", "pcre", {"flags": re.IGNORECASE}) is True


def test_a_registered_matcher_is_called_with_data_and_pattern() -> None:
    registry = MatcherRegistry()
    registry.register("ends", str.endswith)

    assert registry.match("queue.high", "high", "ends") is True
    assert registry.match("high", "queue.high", "ends") is False


def test_a_matcher_may_be_registered_to_take_the_pattern_first() -> None:
    registry = MatcherRegistry()
    registry.register("within", lambda pattern, data: pattern in data)
    registry.matcher_pattern_first.append("within")

    assert registry.match("abc", "b", "within") is True


def test_registries_share_nothing() -> None:
    registry = MatcherRegistry()
    registry.register("own", str.endswith)
    registry.matcher_pattern_first.append("own")

    with pytest.raises(MatcherNotInstalled):
        match("a", "a", "own")
    assert MatcherRegistry().matcher_pattern_first == ["pcre"]


def test_an_unknown_matcher_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MatcherNotInstalled, match="No matcher 'sql' is registered; there are 'glob', 'pcre'"):
        match("a", "b", "sql")


def test_an_unregistered_matcher_is_unknown() -> None:
    registry = MatcherRegistry()
    registry.unregister("glob")

    with pytest.raises(MatcherNotInstalled):
        registry.match("a", "a")
    with pytest.raises(errors.InvalidArgument):
        registry.unregister("glob")
