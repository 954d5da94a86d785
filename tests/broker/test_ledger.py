"""The ledger of a channel."""

from __future__ import annotations

import pytest

from dulse import errors
from dulse.broker.ledger import Ledger


def ledger_of(*entries: str) -> Ledger[str]:
    ledger: Ledger[str] = Ledger()
    for entry in entries:
        ledger.add(entry)
    return ledger


def test_tags_count_from_one_and_skip_over_what_needs_no_settling() -> None:
    ledger: Ledger[str] = Ledger()

    tags = [ledger.add("a"), ledger.skip(), ledger.add("b")]

    assert tags == [1, 2, 3]
    assert len(ledger) == 2


def test_one_delivery_is_taken_by_its_tag() -> None:
    ledger = ledger_of("a", "b", "c")

    assert ledger.take(2, "ack") == "b"
    assert ledger.take_all() == ["a", "c"]


def test_multiple_takes_everything_up_to_the_tag() -> None:
    ledger = ledger_of("a", "b", "c")

    assert ledger.take_up_to(2, "ack") == ["a", "b"]
    assert ledger.take_all() == ["c"]


def test_multiple_of_zero_takes_everything() -> None:
    ledger = ledger_of("a", "b", "c")

    assert ledger.take_up_to(0, "ack") == ["a", "b", "c"]
    assert ledger.take_up_to(0, "ack") == []


@pytest.mark.parametrize("multiple", [False, True])
def test_a_tag_that_was_settled_or_never_given_is_refused_and_nothing_is_taken(multiple: bool) -> None:
    ledger = ledger_of("a", "b")
    ledger.take(2, "ack")

    for tag in (2, 3, -1):
        with pytest.raises(errors.PreconditionFailed, match=f"unknown delivery tag {tag}"):
            ledger.take_up_to(tag, "ack") if multiple else ledger.take(tag, "ack")

    assert ledger.take_all() == ["a"]


def test_a_tag_is_never_given_twice() -> None:
    ledger = ledger_of("a", "b")
    ledger.take_all()

    assert ledger.add("c") == 3
