"""The ladder of queues that delays messages: which levels a message takes, and how it becomes what it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.delays import LEVELS, LONGEST, MARK, PREFIX, UNIT, Ladder, Postponed, postponed, restored
from dulse.model.commands import BindExchange, BindQueue, DeclareExchange, DeclareQueue

DELAYS = st.integers(1, LONGEST)


def put_off(delay: Any, exchange: str = "exchange", **headers: Any) -> Postponed:
    found = postponed({"headers": {"x-delay": delay, **headers}}, exchange, "key")
    assert found is not None
    return found


def waits(message: Postponed, ladder: Ladder) -> list[int]:
    """Go through the ladder as a broker would, and give the times that the message is held."""
    (needed, wanted) = ladder.missing(message) or ([], [])
    commands = [*needed, *wanted]
    queues = {each.queue: each for each in commands if isinstance(each, DeclareQueue)}
    headers = message.properties["headers"]

    def matches(arguments: Any) -> bool:
        return all(headers.get(name) == value for name, value in arguments.items() if name != "x-match")

    found: list[int] = []
    at = message.exchange
    while at != "dulse.delay.out":
        held = [each.queue for each in commands if isinstance(each, BindQueue) and each.exchange == at]
        chosen = [
            each for each in commands if isinstance(each, BindQueue) and each.exchange == at and matches(each.arguments)
        ]
        below = [
            each.destination
            for each in commands
            if isinstance(each, BindExchange) and each.source == at and matches(each.arguments)
        ]
        assert len(chosen) + len(below) == 1 == len(held)
        if chosen:
            arguments = queues[chosen[0].queue].arguments
            found.append(arguments["x-message-ttl"])
            at = arguments["x-dead-letter-exchange"]
        else:
            at = below[0]
    return found


@given(DELAYS)
def test_a_message_is_held_for_its_delay_rounded_up(delay: int) -> None:
    held = waits(put_off(delay), Ladder())
    assert 0 <= sum(held) - delay < UNIT
    assert held == sorted(set(held), reverse=True)


def test_a_message_is_held_at_most_once_by_each_level() -> None:
    assert len(waits(put_off(LONGEST), Ladder())) == LEVELS == 31


@pytest.mark.parametrize("delay", [0, -5, "0", -400.0])
def test_what_is_due_goes_as_it_is(delay: Any) -> None:
    assert postponed({"headers": {"x-delay": delay}}, "", "q") is None


@pytest.mark.parametrize("delay", ["soon", 1.5, True, None, [5]])
def test_what_is_no_number_of_milliseconds_is_refused(delay: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match="x-delay"):
        postponed({"headers": {"x-delay": delay}}, "", "q")


def test_a_delay_beyond_the_ladder_is_refused() -> None:
    with pytest.raises(errors.NotSupported, match=r"longer than .* 268435455 s"):
        put_off(LONGEST + 1)


def test_a_time_to_live_is_refused_as_the_broker_would_forget_it() -> None:
    with pytest.raises(errors.NotSupported, match="x-message-ttl"):
        postponed({"headers": {"x-delay": 5}, "expiration": "10"}, "", "q")


def test_blind_copies_are_refused_as_the_broker_would_forget_them() -> None:
    with pytest.raises(errors.NotSupported, match="BCC"):
        put_off(5, BCC=["other"])


@given(DELAYS, st.dictionaries(st.sampled_from(["a", "x-b", "CC", "x-death", "x-first-death-queue"]), st.text()))
def test_a_message_becomes_what_it_was(delay: int, headers: dict[str, Any]) -> None:
    if "x-death" in headers:
        headers["x-death"] = [{"queue": "q", "reason": "expired", "count": 2}]
    else:
        headers.pop("x-first-death-queue", None)
    before = {"headers": {**headers, "x-delay": delay}, "priority": 3, "message_id": "m"}
    found = postponed(before, "exchange", "key")
    assert found is not None
    assert restored(found.properties) == before
    assert not {name for name in found.properties["headers"] if "death" in name or name == "x-delay"}


def test_the_deaths_on_the_ladder_are_left_out() -> None:
    headers = put_off(5, a=1).properties["headers"]
    death = {"queue": f"{PREFIX}125", "reason": "expired", "count": 1, "exchange": f"{PREFIX}125"}
    first = {"x-first-death-queue": f"{PREFIX}125", "x-first-death-reason": "expired"}
    came = {"headers": {**headers, "x-death": [death], **first, "x-last-death-queue": f"{PREFIX}to."}}
    assert restored(came)["headers"] == {"a": 1, "x-delay": 5}


def test_deaths_after_the_ladder_stay_and_are_the_first() -> None:
    headers = put_off(5).properties["headers"]
    ours = {"queue": f"{PREFIX}125", "reason": "expired", "count": 1, "exchange": f"{PREFIX}125"}
    theirs = {"queue": "work", "reason": "rejected", "count": 1, "exchange": "exchange"}
    came = {**headers, "x-death": [theirs, ours], "x-first-death-queue": f"{PREFIX}125"}
    assert restored({"headers": came})["headers"] == {
        "x-delay": 5,
        "x-death": [theirs],
        "x-first-death-queue": "work",
        "x-first-death-reason": "rejected",
        "x-first-death-exchange": "exchange",
    }


def test_deaths_before_the_ladder_are_not_seen_by_the_broker_and_come_back() -> None:
    earlier = {"queue": "work", "reason": "expired", "count": 1}
    before: dict[str, Any] = {"x-death": [earlier], "x-first-death-queue": "work"}
    headers = put_off(5, **before).properties["headers"]
    assert not {name for name in headers if name.startswith("x-")}
    assert restored({"headers": headers})["headers"] == {"x-delay": 5, **before}


@pytest.mark.parametrize("kept", [None, 5, "text", [1]])
def test_what_a_stranger_puts_into_our_headers_does_no_harm(kept: Any) -> None:
    came = {"headers": {MARK: kept, "dulse-delay-kept": kept, "x-death": kept, "a": 1}}
    assert restored(came) == {"headers": {"a": 1}}


def test_what_is_declared_is_not_declared_again() -> None:
    ladder = Ladder()
    message = put_off(1000)
    assert ladder.missing(message)
    ladder.learn(message)
    assert ladder.missing(message) == []
    assert ladder.missing(put_off(500)) == []
    (more, _) = ladder.missing(put_off(2000))
    assert {each.queue for each in more if isinstance(each, DeclareQueue)} == {f"{PREFIX}2000"}


def test_urgent_messages_have_a_ladder_of_their_own() -> None:
    ladder = Ladder()
    ladder.learn(put_off(1000))
    urgent = postponed({"headers": {"x-delay": 1000}, "priority": 5}, "exchange", "key")
    assert urgent is not None
    assert urgent.exchange == f"{PREFIX}high.1000"
    assert waits(urgent, ladder) == [1000]


def test_another_broker_is_given_all_of_it() -> None:
    ladder, message = Ladder(), put_off(1000)
    (needed, wanted) = ladder.missing(message)
    ladder.learn(message)
    assert set(map(str, ladder.everything())) == set(map(str, [*needed, *wanted]))


def test_a_long_name_of_an_exchange_fits_into_that_of_its_landing() -> None:
    names = [
        each.queue
        for each in Ladder().missing(put_off(5, "e" * 255))[0]
        if isinstance(each, DeclareQueue) and ".to." in each.queue
    ]
    assert [len(each) for each in names] == [len(f"{PREFIX}to.") + 64]


def test_all_that_is_declared_is_durable() -> None:
    for each in Ladder().missing(put_off(LONGEST, ""))[0]:
        if isinstance(each, DeclareQueue | DeclareExchange):
            assert each.durable
            assert not each.auto_delete
