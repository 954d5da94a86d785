"""Headers exchanges: which arguments of a binding the headers of a message satisfy."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse.broker.header_matching import HeadersMatcher


def matches(arguments: dict[str, Any], headers: dict[str, Any]) -> bool:
    matcher: HeadersMatcher[int] = HeadersMatcher()
    matcher.add(arguments, 1)
    matcher.arrange()
    return bool(matcher.match(headers))


def defined(arguments: dict[str, Any], headers: dict[str, Any]) -> bool:
    """Say the same as simply as can be, for values that are text, whole numbers or None."""
    mode = arguments.get("x-match", "all")
    wanted = {
        name: value
        for name, value in arguments.items()
        if name != "x-match" and (mode.endswith("with-x") or not name.startswith("x-"))
    }
    hits = [name in headers and value in {None, headers[name]} for name, value in wanted.items()]
    return all(hits) if mode.startswith("all") else any(hits)


NAMES = st.sampled_from(["a", "b", "c", "x-a", "x-b"])
TABLES = st.dictionaries(NAMES, st.sampled_from(["1", "2", 1, 2, None]), max_size=4)
MODES = st.sampled_from([{}, *({"x-match": mode} for mode in ("all", "any", "all-with-x", "any-with-x"))])


@given(st.lists(st.builds(lambda mode, table: {**mode, **table}, MODES, TABLES), max_size=6), TABLES)
def test_an_index_finds_just_the_bindings_that_are_satisfied(
    bindings: list[dict[str, Any]], headers: dict[str, Any]
) -> None:
    matcher: HeadersMatcher[int] = HeadersMatcher()
    for number, arguments in enumerate(bindings):
        matcher.add(arguments, number)
    matcher.arrange()

    expected = {number for number, arguments in enumerate(bindings) if defined(arguments, headers)}
    assert set(matcher.match(headers)) == expected


@pytest.mark.parametrize(
    ("arguments", "headers", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"x-match": "any", "a": 1, "b": 2}, {"b": 2}, True),
        ({"x-match": "any", "a": 1, "b": 2}, {"a": 2, "b": 1}, False),
        ({}, {}, True),
        ({"x-match": "any"}, {"a": 1}, False),
        ({"a": None}, {"a": "whatever"}, True),
        ({"a": None}, {"b": 1}, False),
        ({"x-a": 1, "b": 2}, {"b": 2}, True),
        ({"x-match": "all-with-x", "x-a": 1, "b": 2}, {"b": 2}, False),
        ({"x-match": "all-with-x", "x-a": 1, "b": 2}, {"b": 2, "x-a": 1}, True),
        ({"x-match": "any", "x-a": 1}, {"x-a": 1}, False),
        ({"x-match": "any-with-x", "x-a": 1}, {"x-a": 1}, True),
        ({"x-match": "all", "a": 1}, {"x-match": "all", "a": 1}, True),
    ],
)
def test_x_match_means_what_rabbitmq_means(arguments: dict[str, Any], headers: dict[str, Any], expected: bool) -> None:
    assert matches(arguments, headers) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1.0, True),
        (1, Decimal(1), True),
        (1, True, False),
        ("a", b"a", True),
        ("1", 1, False),
        ("a", "A", False),
        ([1, {"a": [2]}], [1.0, {"a": (2,)}], True),
        ([1], [1, 2], False),
        ({"a": 1}, {"a": 2}, False),
        (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), True),
        (Decimal("NaN"), 1, False),
        (Decimal("sNaN"), 1, False),
    ],
)
def test_values_are_compared_by_value(one: Any, other: Any, expected: bool) -> None:
    assert matches({"a": one}, {"a": other}) is expected


def test_bindings_that_share_a_common_pair_are_told_apart_by_a_rare_one() -> None:
    matcher: HeadersMatcher[int] = HeadersMatcher()
    for number in range(1000):
        matcher.add({"kind": "order", "number": number}, number)
    matcher.arrange()

    assert matcher.match({"kind": "order", "number": 500}) == [500]
    assert max(map(len, matcher._all.values())) == 1
