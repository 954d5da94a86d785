"""Acknowledgements become few frames, and never one that the broker would refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse.amqp import frames
from dulse.amqp.acknowledging import Acknowledgements
from dulse.amqp.methods import BY_INDEX, basic


class Broker:
    """What RabbitMQ does with acks: a tag that is not outstanding is refused, multiple or not."""

    def __init__(self, newest: int, without: set[int] | None = None) -> None:
        self.outstanding = set(range(1, newest + 1)) - (without or set())
        self.rejected: list[int] = []

    def take(self, data: list[bytes]) -> None:
        for kind, channel, payload in frames.read_frames(b"".join(data)):
            assert (kind, channel) == (frames.METHOD, 7)
            method = BY_INDEX[int.from_bytes(payload[:4], "big")].decode(payload)
            assert isinstance(method, basic.Ack | basic.Nack)
            tag = method.delivery_tag
            assert tag in self.outstanding
            taken = {each for each in self.outstanding if each <= tag} if method.multiple else {tag}
            if isinstance(method, basic.Nack):
                self.rejected += sorted(taken)
            self.outstanding -= taken


def handed_out(newest: int) -> Acknowledgements:
    acks = Acknowledgements(7)
    acks.newest = newest
    return acks


def sent(acks: Acknowledgements) -> list[basic.Ack | basic.Nack]:
    data, acks.out = acks.out, []
    found = [payload for _, _, payload in frames.read_frames(b"".join(data))]
    return [BY_INDEX[int.from_bytes(each[:4], "big")].decode(each) for each in found]  # type: ignore[misc]


def test_a_run_becomes_one_frame() -> None:
    acks = handed_out(5)
    assert all([acks.ack(2), acks.ack(1), acks.ack(3)])
    acks.collect()
    assert sent(acks) == [basic.Ack(3, multiple=True)]


def test_what_lies_behind_a_gap_goes_singly() -> None:
    acks = handed_out(5)
    acks.ack(3)
    acks.ack(5)
    acks.collect()
    assert sent(acks) == [basic.Ack(3), basic.Ack(5)]
    acks.ack(1)
    acks.ack(2)
    acks.collect()
    assert sent(acks) == [basic.Ack(2, multiple=True)]


def test_a_single_one_is_no_multiple() -> None:
    acks = handed_out(1)
    acks.ack(1)
    acks.collect()
    assert sent(acks) == [basic.Ack(1)]


def test_nothing_collected_writes_nothing() -> None:
    acks = handed_out(2)
    acks.collect()
    assert acks.out == []


@pytest.mark.parametrize("tag", [0, 3, 6])
def test_a_tag_that_is_settled_or_was_never_handed_out_is_refused(tag: int) -> None:
    acks = handed_out(5)
    acks.ack(3)
    acks.collect()
    acks.out = []
    assert not acks.ack(tag)
    assert not acks.reject(tag, requeue=True, multiple=False)
    acks.collect()
    assert acks.out == []


def test_before_anything_was_handed_out_no_tag_can_be_settled() -> None:
    acks = Acknowledgements(7)
    assert (acks.ack(1), acks.ack_up_to(0), acks.reject(1, requeue=True, multiple=False)) == (False, False, False)


def test_a_tag_that_waits_to_be_sent_is_settled() -> None:
    acks = handed_out(2)
    acks.ack(1)
    assert (acks.ack(1), acks.ack_up_to(1)) == (False, False)


def test_tag_0_acknowledges_what_was_handed_out_and_no_more() -> None:
    acks = handed_out(4)
    acks.ack(4)
    acks.collect()
    assert acks.ack_up_to(0)
    acks.collect()
    assert sent(acks) == [basic.Ack(4), basic.Ack(3, multiple=True)]
    assert not acks.ack_up_to(0)


def test_a_rejection_goes_out_behind_what_was_collected() -> None:
    acks = handed_out(4)
    acks.ack(1)
    assert acks.reject(3, requeue=True, multiple=True)
    assert sent(acks) == [basic.Ack(1), basic.Nack(3, multiple=True, requeue=True)]
    assert acks.outstanding == 1


def test_one_that_is_requeued_goes_alone() -> None:
    acks = handed_out(3)
    acks.reject(2, requeue=True, multiple=False)
    assert sent(acks) == [basic.Nack(2, multiple=False, requeue=True)]
    assert acks.outstanding == 2


def test_acknowledgements_may_wait_while_they_are_few_beside_what_is_outstanding() -> None:
    acks = Acknowledgements(1)
    acks.newest = 80
    waiting = []
    for tag in range(1, 11):
        acks.ack(tag)
        waiting.append(acks.may_wait())
    assert waiting == [True] * 9 + [False]


def test_the_acknowledgement_of_one_of_few_does_not_wait() -> None:
    acks = Acknowledgements(1)
    acks.newest = 1000
    acks.ack_up_to(992)
    acks.collect()
    acks.ack(993)
    assert not acks.may_wait()


def test_what_is_settled_takes_no_memory() -> None:
    acks = Acknowledgements(7)
    for tag in range(2, 1001, 2):
        acks.newest = tag
        acks.ack(tag)
        acks.ack(tag - 1)
        acks.collect()
    assert (acks._settled, acks._collected, acks.outstanding) == (set(), set(), 0)


def test_a_delivery_without_acknowledgement_makes_no_gap() -> None:
    acks = handed_out(4)
    for tag in (1, 3):
        acks.skip(tag)
    acks.ack(2)
    acks.ack(4)
    acks.collect()
    assert sent(acks) == [basic.Ack(4, multiple=True)]


def test_after_a_recovery_all_is_settled() -> None:
    acks = handed_out(4)
    acks.ack(2)
    acks.settle_all(6)
    acks.collect()
    assert (acks.out, acks.ack(5), acks.outstanding) == ([], False, 0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["ack", "up to", "reject", "reject up to", "collect"]), st.integers(0, 30)), max_size=60
)


@given(STEPS, st.sets(st.integers(1, 30), max_size=10))
def test_the_broker_learns_of_everything_once_and_refuses_nothing(
    steps: list[tuple[str, int]], skipped: set[int]
) -> None:
    acks, broker = handed_out(30), Broker(30, skipped)
    for tag in skipped:
        acks.skip(tag)
    settled: set[int] = set()
    rejected: list[int] = []
    for step, tag in steps:
        open_ones = set(range(1, 31)) - skipped - settled
        last = tag or max(open_ones, default=0)
        if step == "ack":
            assert acks.ack(tag) == (tag in open_ones)
            settled |= {tag} & open_ones
        elif step == "up to":
            if acks.ack_up_to(tag):
                settled |= {each for each in open_ones if each <= last}
        elif step == "collect":
            acks.collect()
        elif acks.reject(tag, requeue=False, multiple="up to" in step):
            taken = {each for each in open_ones if each <= last} if "up to" in step else {tag}
            settled |= taken
            rejected += sorted(taken)
        assert acks.outstanding == 30 - len(skipped) - len(settled)
    acks.collect()
    broker.take(acks.out)
    assert broker.outstanding == set(range(1, 31)) - skipped - settled
    assert broker.rejected == rejected
