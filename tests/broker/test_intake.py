"""Whose turn it is, and how much may be taken ahead."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dulse.broker.intake import AHEAD, Consumer, Intake, Window
from dulse.broker.rules import QueueRules
from dulse.model.records import Leased

RULES = QueueRules()


def consumer(
    tag: str,
    queue: str = "q",
    *,
    limit: int = 0,
    shared: Window | None = None,
    no_ack: bool = False,
    priority: int = 0,
) -> Consumer:
    return Consumer(
        tag,
        queue,
        None,
        window=Window(limit),
        shared=shared or Window(),
        no_ack=no_ack,
        on_delivery=None,
        on_cancel=None,
        priority=priority,
    )


def intake_of(*consumers: Consumer) -> Intake:
    intake = Intake()
    for each in consumers:
        intake.add(each, RULES)
    return intake


def leased(count: int, queue: str = "q") -> list[Leased]:
    return [Leased((queue, number), queue, b"", 1, 0, None) for number in range(count)]


def picked(intake: Intake) -> list[tuple[str, int]]:
    found = []
    while (pick := intake.pick()) is not None:
        found.append((pick[0].tag, pick[1].token[1]))
    return found


def test_without_a_limit_a_hundred_are_wanted() -> None:
    intake = intake_of(consumer("a"))

    assert intake.wants() == [("q", AHEAD)]


def test_no_more_is_wanted_than_the_prefetch_allows() -> None:
    intake = intake_of(consumer("a", limit=3), consumer("b", limit=2))

    assert intake.wants() == [("q", 5)]

    intake.store(leased(4))
    assert intake.wants() == [("q", 1)]

    assert len(picked(intake)) == 4
    assert intake.wants() == [("q", 1)]


def test_a_window_that_several_queues_share_is_not_promised_twice() -> None:
    shared = Window(3)
    intake = intake_of(consumer("a", "one", shared=shared), consumer("b", "two", shared=shared))

    wants = dict(intake.wants())

    assert sum(wants.values()) == 3


def test_what_an_empty_queue_cannot_use_of_a_shared_window_is_for_the_others() -> None:
    shared = Window(3)
    intake = intake_of(*[consumer(name, name, shared=shared) for name in ("one", "two", "three")])

    empty = [queue for queue, _ in intake.wants()]
    others = [queue for queue, _ in intake.wants(empty)]
    last = intake.wants(empty + others)

    assert (len(empty), len(others), [count for _, count in last]) == (1, 1, [3])
    assert intake.wants(["one", "two", "three"]) == []


def test_what_waits_for_a_shared_window_counts_against_it() -> None:
    shared = Window(3)
    intake = intake_of(consumer("a", "one", shared=shared), consumer("b", "two", shared=shared))
    intake.store(leased(2, "one"))

    assert sum(dict(intake.wants()).values()) == 1


def test_consumers_of_one_queue_take_turns() -> None:
    intake = intake_of(consumer("a"), consumer("b"), consumer("c"))
    intake.store(leased(9))

    assert Counter(tag for tag, _ in picked(intake)) == {"a": 3, "b": 3, "c": 3}


def test_queues_take_turns() -> None:
    intake = intake_of(consumer("a", "one"), consumer("b", "two"))
    intake.store(leased(3, "one") + leased(3, "two"))

    assert [tag for tag, _ in picked(intake)] == ["a", "b", "a", "b", "a", "b"]


def test_a_full_consumer_is_passed_over_and_served_again_when_it_has_room() -> None:
    full, other = consumer("full", limit=1), consumer("other")
    intake = intake_of(full, other)
    intake.store(leased(4))

    tags = [tag for tag, _ in picked(intake)]
    assert sorted(tags) == ["full", "other", "other", "other"]

    full.window.held -= 1
    intake.store(leased(2))
    assert "full" in [tag for tag, _ in picked(intake)]


def test_a_paused_channel_gets_nothing_and_wants_nothing() -> None:
    shared = Window()
    intake = intake_of(consumer("a", shared=shared))
    intake.store(leased(1))
    shared.flowing = False

    assert intake.pick() is None
    assert intake.wants() == []


def test_an_inactive_consumer_gets_nothing() -> None:
    inactive = consumer("a")
    inactive.active = False
    intake = intake_of(inactive)

    assert intake.wants() == []


def test_without_acknowledgement_nothing_is_held() -> None:
    intake = intake_of(consumer("a", limit=1, no_ack=True))
    intake.store(leased(3))

    assert len(picked(intake)) == 3
    assert intake.consumers["a"].window.held == 0


def test_the_last_consumer_leaves_what_waited_behind() -> None:
    intake = intake_of(consumer("a"), consumer("b"))
    intake.store(leased(2))

    assert intake.remove("a") == []
    assert [each.token[1] for each in intake.remove("b")] == [0, 1]
    assert intake.pick() is None
    assert intake.queues() == []


def test_records_of_a_queue_that_nobody_consumes_are_given_back() -> None:
    intake = intake_of(consumer("a", "one"))

    orphans = intake.store(leased(1, "two") + leased(1, "one"))

    assert [each.queue for each in orphans] == ["two"]


@given(
    limits=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    steps=st.lists(st.sampled_from(["fetch", "pick", "settle"]), max_size=60),
)
def test_no_window_is_ever_exceeded_and_order_is_kept(limits: list[int], steps: list[str]) -> None:
    consumers = [consumer(str(number), limit=limit) for number, limit in enumerate(limits)]
    intake = intake_of(*consumers)
    supply = iter(range(10_000))
    seen: list[int] = []
    held: list[Consumer] = []

    for step in steps:
        if step == "fetch":
            for queue, count in intake.wants():
                intake.store([Leased((queue, next(supply)), queue, b"", 1, 0, None) for _ in range(count)])
        elif step == "pick" and (pick := intake.pick()) is not None:
            seen.append(pick[1].token[1])
            held.append(pick[0])
        elif step == "settle" and held:
            settled = held.pop()
            settled.window.held -= 1
            settled.shared.held -= 1
        assert all(not each.window.limit or each.window.held <= each.window.limit for each in consumers)

    assert seen == sorted(seen)


def test_the_highest_priority_comes_first_and_those_of_one_priority_take_turns() -> None:
    intake = intake_of(
        consumer("low"),
        consumer("high", limit=2, priority=5),
        consumer("also high", limit=1, priority=5),
        consumer("lower", priority=-1),
    )
    intake.store(leased(5))

    assert [tag for tag, _ in picked(intake)] == ["high", "also high", "high", "low", "low"]
