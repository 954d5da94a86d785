"""What a message gets in each queue of its route."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.broker.carbon_copies import has_further_keys, without_blind_copies
from dulse.broker.rules import FOREVER_MS, QueueRules
from dulse.broker.targets import needs_targets, plain_target, targets_for
from dulse.model.records import Target

PLAIN = QueueRules()


def target(properties: dict[str, Any], rules: QueueRules = PLAIN, delay_ms: int = 0) -> Target:
    (only,) = targets_for([("q", rules)], properties, delay_ms)
    return only


def test_a_plain_message_is_only_bound_by_the_rules_of_the_queue() -> None:
    limited = QueueRules(message_ttl_ms=9, max_length=2, max_length_bytes=3, overflow="reject-publish", max_priority=5)

    targets = (plain_target("a", PLAIN), plain_target("b", limited))

    assert targets == (Target("a"), Target("b", 0, 9, 0, 2, 3, refuse=True))
    assert targets == targets_for([("a", PLAIN), ("b", limited)], {})


@pytest.mark.parametrize(
    ("queue_ttl", "expiration", "expected"),
    [(None, None, None), (10, None, 10), (None, "10", 10), (10, "5", 5), (5, "10", 5), (5, "0", 0), (0, "10", 0)],
)
def test_the_shorter_time_to_live_counts(queue_ttl: int | None, expiration: str | None, expected: int | None) -> None:
    properties = {} if expiration is None else {"expiration": expiration}

    assert target(properties, QueueRules(message_ttl_ms=queue_ttl)).ttl_ms == expected


@pytest.mark.parametrize(("priority", "limit", "expected"), [(3, None, 0), (3, 5, 3), (9, 5, 5), (0, 5, 0)])
def test_a_priority_counts_as_far_as_the_queue_has_it(priority: int, limit: int | None, expected: int) -> None:
    assert target({"priority": priority}, QueueRules(max_priority=limit)).priority == expected


def test_a_message_without_priority_has_the_lowest() -> None:
    assert target({}, QueueRules(max_priority=5)).priority == 0


@pytest.mark.parametrize("overflow", ["reject-publish", "reject-publish-dlx"])
def test_a_queue_that_rejects_refuses_at_its_limit(overflow: Any) -> None:
    assert target({}, QueueRules(max_length=1, overflow=overflow)).refuse


def test_a_queue_that_drops_its_head_does_not_refuse() -> None:
    assert target({}, QueueRules(max_length=1)) == Target("q", max_count=1)


@pytest.mark.parametrize("expiration", ["-1", "1.5", "", "soon", "1e3", "٣", True, 1.5, b"5", "1" * 30])
def test_an_expiration_that_is_no_number_of_milliseconds_is_refused_by_name(expiration: Any) -> None:
    with pytest.raises(errors.PreconditionFailed, match="expiration") as caught:
        target({"expiration": expiration})

    assert repr(expiration) in str(caught.value)


@pytest.mark.parametrize("priority", [-1, 256, 1.0, "3", True])
def test_a_priority_that_is_no_octet_is_refused_by_name(priority: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"priority .* between 0 and 255"):
        target({"priority": priority})


@pytest.mark.parametrize(
    ("argument", "header", "expected"),
    [(0, None, 0), (5, None, 5), (0, 7, 7), (5, 7, 5), (0, 0, 0), (0, -7, 0), (0, "7", 7), (0, 7.0, 7)],
)
def test_a_delay_is_given_as_an_argument_or_in_the_header(argument: int, header: Any, expected: int) -> None:
    properties = {"headers": {} if header is None else {"x-delay": header}}

    assert target(properties, PLAIN, argument).delay_ms == expected


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="-5 ms is negative"):
        target({}, PLAIN, -5)


@pytest.mark.parametrize("header", ["soon", 1.5, True, [1]])
def test_a_header_x_delay_that_is_no_number_is_refused(header: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match="x-delay"):
        target({"headers": {"x-delay": header}})


def test_times_beyond_every_clock_are_cut() -> None:
    assert target({"expiration": str(2**63)}, PLAIN, 2**63) == Target("q", ttl_ms=FOREVER_MS, delay_ms=FOREVER_MS)


@pytest.mark.parametrize("properties", [{}, {"priority": 0}, {"headers": {"a": 1}}, {"headers": None}])
def test_a_plain_message_takes_the_targets_of_its_route(properties: dict[str, Any]) -> None:
    assert not needs_targets(properties)


@pytest.mark.parametrize("properties", [{"priority": 1}, {"expiration": "0"}, {"headers": {"x-delay": 1}}])
def test_any_other_message_needs_targets_of_its_own(properties: dict[str, Any]) -> None:
    assert needs_targets(properties)


def test_a_delayed_message_needs_targets_of_its_own() -> None:
    assert needs_targets({}, 5)


def test_blind_copies_are_taken_from_what_is_stored_and_the_original_stays() -> None:
    properties = {"priority": 1, "headers": {"CC": ["a"], "BCC": ["b"]}}

    assert without_blind_copies(properties) == {"priority": 1, "headers": {"CC": ["a"]}}
    assert properties["headers"] == {"CC": ["a"], "BCC": ["b"]}


def test_properties_without_blind_copies_are_not_copied() -> None:
    properties = {"headers": {"CC": ["a"]}}

    assert without_blind_copies(properties) is properties


def test_copies_are_seen_in_the_headers() -> None:
    assert has_further_keys({"CC": []})
    assert has_further_keys({"BCC": []})
    assert not has_further_keys({"cc": []})
