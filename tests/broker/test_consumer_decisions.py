"""Consumers: who may be one, who is served, what goes with the last of them, and burials."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.broker.burial import decide_burial
from dulse.broker.consumers import active_consumer
from dulse.broker.queues import consumer_count
from dulse.broker.rules import QueueRules
from dulse.model.commands import BindQueue, DeclareExchange, DeclareQueue, DeleteQueue
from tests.broker.catalogue_rig import Catalogue


def consumers_of(catalogue: Catalogue, queue: str) -> int:
    return catalogue.look(lambda view: consumer_count(view, queue))


def active(catalogue: Catalogue, queue: str = "q") -> str | None:
    consumer = catalogue.look(lambda view: active_consumer(view, queue))
    return consumer.tag if consumer else None


def bury(catalogue: Catalogue, owner: str) -> Any:
    return catalogue.carry_out(lambda view: decide_burial(view, owner))


@pytest.fixture
def catalogue() -> Catalogue:
    """Give a catalogue with a queue."""
    catalogue = Catalogue()
    catalogue.run(DeclareQueue("q"))
    return catalogue


def test_a_new_consumer_counts_and_learns_the_rules(catalogue: Catalogue) -> None:
    assert catalogue.consume("q", "tag") == QueueRules()
    assert consumers_of(catalogue, "q") == 1


def test_consuming_from_a_missing_queue_is_not_found(catalogue: Catalogue) -> None:
    with pytest.raises(errors.NotFound, match="'nowhere'"):
        catalogue.consume("nowhere", "tag")


def test_consuming_from_anothers_exclusive_queue_is_locked(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("mine", exclusive=True))

    with pytest.raises(errors.ResourceLocked):
        catalogue.consume("mine", "tag", "somebody else")


def test_nobody_can_join_an_exclusive_consumer(catalogue: Catalogue) -> None:
    catalogue.consume("q", "tag", exclusive=True)

    with pytest.raises(errors.AccessRefused, match="'q' has an exclusive consumer") as caught:
        catalogue.consume("q", "other", "somebody else")

    assert caught.value.code == 403


def test_an_exclusive_consumer_cannot_join_others(catalogue: Catalogue) -> None:
    catalogue.consume("q", "tag")

    with pytest.raises(errors.AccessRefused, match="1 consumers"):
        catalogue.consume("q", "other", exclusive=True)


def test_after_an_exclusive_consumer_others_may_come(catalogue: Catalogue) -> None:
    catalogue.consume("q", "tag", exclusive=True)
    catalogue.cancel("q", "tag")

    catalogue.consume("q", "other", "somebody else")


def test_a_single_active_consumer_cannot_be_exclusive(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("single", arguments={"x-single-active-consumer": True}))

    with pytest.raises(errors.AccessRefused, match="single active"):
        catalogue.consume("single", "tag", exclusive=True)


def test_a_tag_in_use_is_not_allowed_again(catalogue: Catalogue) -> None:
    catalogue.consume("q", "tag")

    with pytest.raises(errors.NotAllowed, match="'tag' is in use") as caught:
        catalogue.consume("q", "tag")

    assert caught.value.code == 530


def test_two_owners_may_use_the_same_tag(catalogue: Catalogue) -> None:
    catalogue.consume("q", "tag")
    catalogue.consume("q", "tag", "somebody else")

    assert consumers_of(catalogue, "q") == 2


@pytest.mark.parametrize("priority", ["high", 1.5, True])
def test_a_consumers_priority_must_be_an_integer(catalogue: Catalogue, priority: Any) -> None:
    with pytest.raises(errors.PreconditionFailed, match="x-priority"):
        catalogue.consume("q", "tag", x_priority=priority)


def test_the_first_consumer_of_the_highest_priority_is_the_active_one(catalogue: Catalogue) -> None:
    assert active(catalogue) is None
    catalogue.consume("q", "z first")
    catalogue.consume("q", "a second")
    assert active(catalogue) == "z first"
    catalogue.consume("q", "low", x_priority=-1)
    assert active(catalogue) == "z first"
    catalogue.consume("q", "high", x_priority=5)
    assert active(catalogue) == "high"
    catalogue.consume("q", "as high", x_priority=5)
    assert active(catalogue) == "high"

    catalogue.cancel("q", "high")

    assert active(catalogue) == "as high"


def test_cancelling_an_unknown_consumer_is_no_error(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("short-lived", auto_delete=True))

    assert catalogue.cancel("q", "tag") is False
    assert catalogue.cancel("short-lived", "tag") is False
    assert catalogue.cancel("nowhere", "tag") is False
    assert "q/short-lived" in catalogue.groups


def test_an_auto_delete_queue_goes_with_its_last_consumer_in_the_same_change(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("short-lived", auto_delete=True))
    catalogue.run(BindQueue("short-lived", "amq.fanout"))
    catalogue.consume("short-lived", "one")
    catalogue.consume("short-lived", "two", "somebody else")

    assert catalogue.cancel("short-lived", "one") is False
    assert catalogue.cancel("short-lived", "two", "somebody else") is True
    assert sorted(catalogue.groups) == ["q/q"]
    assert catalogue.dropped == ["short-lived"]


def test_another_queue_stays_without_consumers(catalogue: Catalogue) -> None:
    catalogue.consume("q", "tag")

    assert catalogue.cancel("q", "tag") is False
    assert sorted(catalogue.groups) == ["q/q"]


def test_consumers_come_and_go_without_touching_the_queues_group(catalogue: Catalogue) -> None:
    before = catalogue.groups["q/q"].revision

    catalogue.consume("q", "tag")
    catalogue.cancel("q", "tag")

    assert catalogue.groups["q/q"].revision == before


def test_deleting_a_queue_ends_the_consumers_of_all_owners(catalogue: Catalogue) -> None:
    catalogue.consume("q", "tag")
    catalogue.consume("q", "tag", "somebody else")

    catalogue.run(DeleteQueue("q"))

    assert catalogue.groups == {}


# -------------------------------------------------------------------------------------------------------- burial


def test_a_burial_ends_consumers_exclusive_queues_and_auto_delete_queues(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x", auto_delete=True))
    catalogue.run(DeclareQueue("mine", exclusive=True))
    catalogue.run(DeclareQueue("short-lived", auto_delete=True))
    catalogue.run(DeclareQueue("shared", auto_delete=True))
    for queue in ("mine", "short-lived"):
        catalogue.run(BindQueue(queue, "x", queue))
    for queue in ("q", "mine", "short-lived", "shared"):
        catalogue.consume(queue, "tag")
    catalogue.consume("shared", "tag", "somebody else")

    deleted = bury(catalogue, "me")

    assert sorted(deleted) == ["mine", "short-lived"]
    assert sorted(catalogue.groups) == ["c/shared", "o/somebody else", "q/q", "q/shared"]
    assert sorted(catalogue.dropped) == ["mine", "short-lived"]


def test_a_burial_is_one_change(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("mine", exclusive=True))
    catalogue.consume("mine", "tag")
    catalogue.consume("q", "tag")
    changes = len(catalogue.changes)

    bury(catalogue, "me")

    assert len(catalogue.changes) == changes + 1


def test_burying_twice_changes_nothing(catalogue: Catalogue) -> None:
    catalogue.consume("q", "tag")
    bury(catalogue, "me")
    changes = len(catalogue.changes)

    assert bury(catalogue, "me") == ()
    assert len(catalogue.changes) == changes


def test_a_queue_declared_anew_by_somebody_else_is_spared(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("mine", exclusive=True))
    stale = catalogue.groups["o/me"]
    catalogue.run(DeleteQueue("mine"))
    catalogue.run(DeclareQueue("mine", exclusive=True), "somebody else")
    catalogue.groups["o/me"] = stale

    assert bury(catalogue, "me") == ()
    assert "q/mine" in catalogue.groups
    assert "o/me" not in catalogue.groups


def test_a_burial_costs_what_the_owner_held(catalogue: Catalogue) -> None:
    for number in range(100):
        catalogue.run(DeclareQueue(f"other {number}"))
    catalogue.consume("q", "tag")

    bury(catalogue, "me")

    assert len(catalogue.changes[-1].expect) == 4
    assert catalogue.rounds == 2


def test_the_time_of_a_queue_begins_when_its_last_consumer_is_buried(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("idle", arguments={"x-expires": 100}))
    catalogue.consume("idle", "tag")
    catalogue.age("e/idle", 1000)

    bury(catalogue, "me")

    assert catalogue.groups["e/idle"].age_ms == 0


def test_consumers_come_in_the_order_in_which_they_were_entered(catalogue: Catalogue) -> None:
    catalogue.consume("q", "first", "one")
    catalogue.consume("q", "second", "two")

    catalogue.cancel("q", "first", "one")
    catalogue.consume("q", "third", "one")

    assert active(catalogue) == "second"
