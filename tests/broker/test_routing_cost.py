"""What routing costs, counted in calls instead of seconds: it does not grow with the number of bindings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from dulse.broker.definitions import BoundTo
from dulse.broker.routing import GrowingMatcher, matcher_for


def calls_of(action: Callable[[], Any]) -> int:
    """Count the calls that an action makes, of Python and of C functions."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls


def topic(number: int) -> BoundTo:
    return BoundTo("queue", f"q{number}", f"stock.{number}.*" if number % 2 else f"*.{number}.#", {})


def hashes(number: int) -> BoundTo:
    return BoundTo("queue", f"q{number}", f"#.{number}.#", {})


def literal(number: int) -> BoundTo:
    return BoundTo("queue", f"q{number}", f"stock.{number}.x", {})


def headers(number: int) -> BoundTo:
    return BoundTo("queue", f"q{number}", "", {"kind": "order", "number": number})


def any_header(number: int) -> BoundTo:
    return BoundTo("queue", f"q{number}", "", {"x-match": "any", "number": number, f"key {number}": None})


@pytest.mark.parametrize("exchange_type", ["direct", "fanout", "topic", "headers"])
def test_further_bindings_are_found_as_if_they_had_been_there_at_first(exchange_type: str) -> None:
    bindings = [make(number) for number in range(6) for make in (topic, hashes, literal, headers, any_header)]
    whole, grown = matcher_for(exchange_type, bindings), matcher_for(exchange_type, bindings[:7])
    assert isinstance(grown, GrowingMatcher)

    for number in range(7, len(bindings)):
        grown.extend(bindings[number : number + 1])

    given = {"kind": "order", "number": 5, "key 2": 0}
    assert set(grown.match("stock.4.x", given)) == set(whole.match("stock.4.x", given)) != set()


@pytest.mark.parametrize(
    ("exchange_type", "binding"),
    [
        ("direct", literal),
        ("topic", literal),
        ("topic", topic),
        ("topic", hashes),
        ("headers", headers),
        ("headers", any_header),
    ],
)
def test_finding_one_of_many_bindings_takes_as_many_calls_as_one_of_few(
    exchange_type: str, binding: Callable[[int], BoundTo]
) -> None:
    few = matcher_for(exchange_type, [binding(number) for number in range(10)])
    many = matcher_for(exchange_type, [binding(number) for number in range(5000)])
    message = ("stock.7.x", {"kind": "order", "number": 7})

    assert [place.name for place in many.match(*message)] == ["q7"]
    assert calls_of(lambda: list(many.match(*message))) == calls_of(lambda: list(few.match(*message)))
