"""What becomes of a message that a queue gives up."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from dulse.broker.dead_letters import Reason, dead_letter, is_cycle, without_cycles
from dulse.broker.envelope import pack, unpack
from dulse.broker.rules import QueueRules
from dulse.model.message import Record
from dulse.model.records import Target

NOW_MS = 1_700_000_000_999
NOW = datetime.fromtimestamp(1_700_000_000, UTC)
RULES = QueueRules(dead_letter_exchange="dlx")
TO_KEY = QueueRules(dead_letter_exchange="dlx", dead_letter_routing_key="dead")


def record(**properties: Any) -> Record:
    return Record("x", "key", properties, b"body")


def died(
    letter: Record, queue: str = "q", reason: Reason = "rejected", rules: QueueRules = RULES, now_ms: int = NOW_MS
) -> Record:
    """Let a record die that has a dead letter exchange to go to."""
    dead = dead_letter(letter, queue, rules, reason, now_ms)
    assert dead is not None
    return dead


def test_without_a_dead_letter_exchange_there_is_no_dead_letter() -> None:
    assert dead_letter(record(), "q", QueueRules(), "rejected", NOW_MS) is None


def test_a_dead_letter_keeps_body_properties_and_routing_key() -> None:
    dead = died(record(content_type="text/plain", priority=3))

    assert (dead.exchange, dead.routing_key, dead.body) == ("dlx", "key", b"body")
    assert (dead.properties["content_type"], dead.properties["priority"]) == ("text/plain", 3)


def test_a_dead_letter_exchange_can_be_the_default_one() -> None:
    assert died(record(), rules=QueueRules(dead_letter_exchange="")).exchange == ""


def test_the_first_death_is_told_in_the_headers() -> None:
    headers = died(record(headers={"mine": 1})).properties["headers"]

    assert headers == {
        "mine": 1,
        "x-death": [
            {"count": 1, "reason": "rejected", "queue": "q", "time": NOW, "exchange": "x", "routing-keys": ["key"]}
        ],
        "x-first-death-reason": "rejected",
        "x-first-death-queue": "q",
        "x-first-death-exchange": "x",
        "x-last-death-reason": "rejected",
        "x-last-death-queue": "q",
        "x-last-death-exchange": "x",
    }


def test_a_later_death_comes_first_and_the_first_one_stays_told() -> None:
    headers = died(died(record()), "second", "expired").properties["headers"]

    assert [(death["queue"], death["reason"]) for death in headers["x-death"]] == [
        ("second", "expired"),
        ("q", "rejected"),
    ]
    assert headers["x-first-death-queue"] == "q"
    assert (headers["x-last-death-queue"], headers["x-last-death-exchange"]) == ("second", "dlx")


def test_deaths_of_one_queue_and_reason_are_counted_and_keep_the_time_of_the_first() -> None:
    letter = died(died(died(record()), "second", "expired"), now_ms=NOW_MS + 60_000)

    assert [(death["queue"], death["count"]) for death in letter.properties["headers"]["x-death"]] == [
        ("q", 2),
        ("second", 1),
    ]
    assert letter.properties["headers"]["x-death"][0]["time"] == NOW


def test_deaths_of_one_queue_for_two_reasons_are_told_apart() -> None:
    deaths = died(died(record()), reason="maxlen").properties["headers"]["x-death"]

    assert [(death["reason"], death["count"]) for death in deaths] == [("maxlen", 1), ("rejected", 1)]


def test_the_expiration_is_taken_away_and_told() -> None:
    dead = died(record(expiration="500"), reason="expired")

    assert "expiration" not in dead.properties
    assert dead.properties["headers"]["x-death"][0]["original-expiration"] == "500"


def test_a_dead_letter_routing_key_replaces_key_and_copies() -> None:
    dead = died(record(headers={"CC": ["other"]}), rules=TO_KEY)

    assert dead.routing_key == "dead"
    assert "CC" not in dead.properties["headers"]
    assert dead.properties["headers"]["x-death"][0]["routing-keys"] == ["key", "other"]


def test_without_one_the_copies_are_routed_again() -> None:
    assert died(record(headers={"CC": ["other"]})).properties["headers"]["CC"] == ["other"]


def test_a_delay_that_was_waited_for_is_not_waited_for_again() -> None:
    assert died(record(headers={"x-delay": 5000})).properties["headers"]["x-delay"] == -5000


def test_the_given_record_is_not_changed() -> None:
    letter = died(record(headers={"CC": ["a"], "deep": {"list": [1]}}, expiration="5"))
    before = copy.deepcopy(letter)

    died(letter, "second", "expired", TO_KEY)
    died(letter, "q", "rejected", TO_KEY)

    assert letter == before


@pytest.mark.parametrize("written", ["nonsense", [1, "a"], {"count": 1}, None])
def test_nonsense_in_x_death_is_replaced(written: Any) -> None:
    deaths = died(record(headers={"x-death": written})).properties["headers"]["x-death"]

    assert [death["count"] for death in deaths] == [1]


def test_a_dead_letter_survives_a_store_of_bytes() -> None:
    dead = died(record(expiration="5", headers={"CC": ["a"]}), reason="expired")

    assert unpack(pack(dead)) == dead


def test_a_message_that_expires_back_into_its_queue_is_a_cycle() -> None:
    assert is_cycle(died(record(), "q", "expired"), "q")
    assert not is_cycle(died(record(), "q", "expired"), "another")


@pytest.mark.parametrize("reason", ["expired", "maxlen", "delivery_limit"])
def test_a_cycle_through_several_queues_is_seen(reason: Reason) -> None:
    letter = died(died(record(), "q", reason), "second", "expired")

    assert is_cycle(letter, "q")


def test_a_rejection_on_the_way_breaks_the_cycle() -> None:
    letter = died(died(record(), "q", "expired"), "second", "rejected")

    assert not is_cycle(letter, "q")


def test_a_rejection_before_the_cycle_does_not_break_it() -> None:
    letter = died(died(died(record(), "first", "rejected"), "q", "expired"), "second", "expired")

    assert is_cycle(letter, "q")


def test_a_rejected_message_may_come_back_to_its_queue() -> None:
    assert not is_cycle(died(record(), "q", "rejected"), "q")


def test_only_the_queues_of_a_cycle_are_left_out() -> None:
    letter = died(record(), "q", "expired")

    assert without_cycles(letter, [Target("q"), Target("other")]) == (Target("other"),)
