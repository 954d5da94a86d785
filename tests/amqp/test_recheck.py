"""After a channel was closed because of one message, exactly the poisonous ones fail, and all others are sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.confirms import Unconfirmed
from dulse.amqp.messages import Writer
from dulse.amqp.recheck import GROUP, Recheck

NO_EXCHANGE = errors.NotFound("NOT_FOUND - no exchange 'gone' in vhost '/'", code=404, method="basic.publish")
TOO_LARGE = errors.PreconditionFailed("PRECONDITION_FAILED - message size 9 is larger than configured max size 8")


def messages(*exchanges: str) -> list[Unconfirmed]:
    writer = Writer(1, 4096)
    return [
        Unconfirmed(tag, writer.write(b"%d" % tag, {}, exchange, "k"), None)
        for tag, exchange in enumerate(exchanges, start=1)
    ]


class Broker:
    """Takes trials as RabbitMQ does: in order, until a poisonous message closes the channel."""

    def __init__(self, poisons: set[int], confirmed_before_close: int = 0) -> None:
        self.poisons = poisons
        self.early = confirmed_before_close
        self.stored: list[int] = []
        self.trials = 0
        self.tag = 0

    def run(self, recheck: Recheck, error: Exception) -> None:
        while trial := recheck.trial():
            self.trials += 1
            base = self.tag
            for place, each in enumerate(trial):
                if each.tag in self.poisons:
                    if early := min(place, self.early):
                        recheck.confirm(base + early, multiple=True)
                    recheck.closed(error)
                    self.tag = 0
                    break
                self.stored.append(each.tag)
            else:
                self.tag = base + len(trial)
                recheck.confirm(self.tag, multiple=True)
                assert recheck.next_tag == self.tag + 1


def test_who_names_the_missing_exchange_goes_alone_and_the_rest_together() -> None:
    window = messages("a", "a", "gone", "a", "a")
    recheck, broker = Recheck(window, NO_EXCHANGE), Broker({3})
    broker.run(recheck, NO_EXCHANGE)
    assert (broker.trials, broker.stored) == (3, [1, 2, 4, 5])
    assert [(each.message.tag, each.error) for each in recheck.failed] == [(3, NO_EXCHANGE)]


def test_without_a_hint_groups_go_together_and_one_that_fails_one_by_one() -> None:
    recheck, broker = Recheck(messages(*"e" * 3 * GROUP), TOO_LARGE), Broker({GROUP + 2})
    broker.run(recheck, TOO_LARGE)
    assert [each.message.tag for each in recheck.failed] == [GROUP + 2]
    assert broker.trials == 3 + GROUP


def test_a_suspect_that_is_taken_has_not_failed() -> None:
    recheck, broker = Recheck(messages("gone", "a"), NO_EXCHANGE), Broker(set())
    broker.run(recheck, NO_EXCHANGE)
    assert (recheck.failed, broker.stored) == ([], [1, 2])


def test_what_is_refused_by_a_nack_has_failed_and_the_rest_goes_on() -> None:
    recheck = Recheck(messages("a", "b"), TOO_LARGE)
    recheck.trial()
    recheck.refuse(1, multiple=False)
    recheck.confirm(2, multiple=False)
    assert (recheck.is_settled, recheck.trial()) == (True, [])
    assert [(each.message.tag, each.error) for each in recheck.failed] == [(1, None)]


def test_a_lost_connection_tells_nothing_about_the_message_that_was_alone() -> None:
    recheck = Recheck(messages("gone", "a"), NO_EXCHANGE)
    (alone,) = recheck.trial()
    recheck.lost()
    assert (recheck.failed, recheck.trial(), recheck.next_tag) == ([], [alone], 2)


def test_what_was_confirmed_before_the_connection_was_lost_does_not_come_again() -> None:
    recheck = Recheck(messages(*"abc"), TOO_LARGE)
    recheck.trial()
    recheck.confirm(2, multiple=False)
    recheck.lost()
    assert [each.tag for each in recheck.remaining()] == [1, 3]


def test_the_next_trial_waits_for_this_one() -> None:
    recheck = Recheck(messages("a", "a", "a"), TOO_LARGE)
    recheck.trial()
    recheck.confirm(1, multiple=False)
    assert [each.tag for each in recheck.remaining()] == [2, 3]
    with pytest.raises(errors.InvalidArgument, match="2 messages of this trial"):
        recheck.trial()


def test_a_hint_that_nobody_fits_makes_no_large_group() -> None:
    recheck = Recheck(messages(*"a" * 2 * GROUP), NO_EXCHANGE)
    assert len(recheck.trial()) == GROUP


def test_a_tag_never_published_is_a_protocol_error() -> None:
    recheck = Recheck(messages("a"), TOO_LARGE)
    recheck.trial()
    with pytest.raises(errors.ProtocolError, match="confirms message 2 and 1"):
        recheck.confirm(2, multiple=False)


@given(
    st.lists(st.sampled_from(["", "a", "gone"]), max_size=200),
    st.sets(st.integers(1, 200), max_size=12),
    st.integers(0, 100),
    st.booleans(),
)
def test_exactly_the_poisonous_ones_fail_in_bounded_trials(
    exchanges: list[str], poisons: set[int], early: int, hinted: bool
) -> None:
    window = messages(*exchanges)
    error = NO_EXCHANGE if hinted else TOO_LARGE
    recheck, broker = Recheck(window, error), Broker(poisons, early)
    broker.run(recheck, error)
    bad = sorted(poisons & {each.tag for each in window})
    assert [each.message.tag for each in recheck.failed] == bad
    assert sorted(set(broker.stored)) == [each.tag for each in window if each.tag not in poisons]
    first_arrivals = list(dict.fromkeys(broker.stored))
    assert first_arrivals == sorted(first_arrivals)
    assert broker.trials <= 2 * len(window)
    assert max((broker.stored.count(each) for each in set(broker.stored)), default=0) <= 2
    assert recheck.remaining() == []
