"""Declaring, deleting, purging and expiring queues."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.broker.queues import Expiry, decide_expiry, decide_touch
from dulse.model.commands import (
    BindQueue,
    DeclareExchange,
    DeclareQueue,
    DeleteQueue,
    PurgeQueue,
    QueueDeclared,
    UnbindQueue,
)
from dulse.model.records import Depth
from tests.broker.catalogue_rig import Catalogue


def declare(catalogue: Catalogue, name: str = "q", owner: str = "me", **properties: Any) -> Any:
    return catalogue.run(DeclareQueue(name, **properties), owner)


def test_a_new_queue_is_empty_and_without_consumers(catalogue: Catalogue) -> None:
    assert declare(catalogue) == QueueDeclared("q", 0, 0)


def test_declaring_again_tells_how_much_is_in_it(catalogue: Catalogue) -> None:
    declare(catalogue)
    catalogue.depths["q"] = Depth(3, 1, 1, 100)
    catalogue.consume("q", "tag")

    assert declare(catalogue) == QueueDeclared("q", 3, 1)
    assert declare(catalogue, passive=True, durable=False) == QueueDeclared("q", 3, 1)


def test_a_queue_without_a_name_is_given_one(catalogue: Catalogue) -> None:
    assert catalogue.run(DeclareQueue(), unique="abc") == QueueDeclared("amq.gen-abc", 0, 0)
    assert "q/amq.gen-abc" in catalogue.groups


def test_a_missing_queue_is_not_found_passively(catalogue: Catalogue) -> None:
    with pytest.raises(errors.NotFound, match="no queue 'q'") as caught:
        declare(catalogue, passive=True)

    assert caught.value.code == 404


def test_reserved_names_are_refused_but_passively(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue(), unique="abc")

    assert declare(catalogue, "amq.gen-abc", passive=True).queue == "amq.gen-abc"
    with pytest.raises(errors.AccessRefused, match="reserved"):
        declare(catalogue, "amq.gen-abc")


@pytest.mark.parametrize(("attribute", "other"), [("durable", False), ("auto_delete", True)])
def test_declaring_with_another_property_fails_and_names_it(catalogue: Catalogue, attribute: str, other: Any) -> None:
    declare(catalogue)

    with pytest.raises(errors.PreconditionFailed, match=f"inequivalent arg '{attribute}'") as caught:
        declare(catalogue, **{attribute: other})

    assert caught.value.code == 406
    assert "Queue.declare: (406)" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("x-message-ttl", 1, 2),
        ("x-expires", 1, None),
        ("x-max-length", None, 2),
        ("x-max-length-bytes", 1, 2),
        ("x-max-priority", 1, 2),
        ("x-overflow", "drop-head", "reject-publish"),
        ("x-dead-letter-exchange", "a", "b"),
        ("x-delivery-limit", 1, 2),
        ("x-single-active-consumer", True, False),
        ("x-queue-type", None, "quorum"),
    ],
)
def test_declaring_with_another_argument_fails_and_names_it(
    catalogue: Catalogue, name: str, value: Any, other: Any
) -> None:
    declare(catalogue, arguments={} if value is None else {name: value})

    with pytest.raises(errors.PreconditionFailed, match=f"inequivalent arg '{name}'"):
        declare(catalogue, arguments={} if other is None else {name: other})


def test_arguments_that_mean_nothing_to_the_broker_are_kept_and_may_differ(catalogue: Catalogue) -> None:
    declare(catalogue, arguments={"x-mine": b"1"})

    declare(catalogue, arguments={"x-mine": b"2", "another": None})


def test_a_classic_queue_may_say_so_or_not(catalogue: Catalogue) -> None:
    declare(catalogue, arguments={"x-queue-type": "classic"})

    declare(catalogue)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"x-message-ttl": -1}, "x-message-ttl.*-1 is negative"),
        ({"x-message-ttl": 1.5}, "x-message-ttl.*1.5 is a float"),
        ({"x-message-ttl": "5"}, "x-message-ttl.*'5' is a str"),
        ({"x-message-ttl": True}, "x-message-ttl.*True is a bool"),
        ({"x-message-ttl": 2**63}, "x-message-ttl.*beyond"),
        ({"x-expires": 0}, "x-expires.*0 is zero"),
        ({"x-expires": -1}, "x-expires.*-1 is negative"),
        ({"x-max-length": -1}, "x-max-length.*-1"),
        ({"x-max-length-bytes": -1}, "x-max-length-bytes.*-1"),
        ({"x-max-priority": 256}, "x-max-priority.*256 is not between 1 and 255"),
        ({"x-max-priority": 0}, "x-max-priority.*0 is not between 1 and 255"),
        ({"x-overflow": "spill"}, "x-overflow.*'spill' is not one of drop-head"),
        ({"x-dead-letter-exchange": 1}, "x-dead-letter-exchange.*1 is a int"),
        ({"x-dead-letter-routing-key": "a"}, "x-dead-letter-routing-key.*without x-dead-letter-exchange"),
        ({"x-dead-letter-routing-key": 1, "x-dead-letter-exchange": ""}, "x-dead-letter-routing-key.*int"),
        ({"x-delivery-limit": -1}, "x-delivery-limit.*-1"),
        ({"x-single-active-consumer": 1}, "x-single-active-consumer.*1 is a int"),
        ({"x-queue-type": "priority"}, "x-queue-type.*'priority'"),
    ],
)
def test_an_invalid_argument_is_refused_with_its_name_and_value(
    catalogue: Catalogue, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(errors.PreconditionFailed, match=problem) as caught:
        declare(catalogue, arguments=arguments)

    assert caught.value.code == 406
    assert catalogue.groups == {}


def test_a_stream_is_not_supported(catalogue: Catalogue) -> None:
    with pytest.raises(errors.NotSupported, match="stream"):
        declare(catalogue, arguments={"x-queue-type": "stream"})


def test_arguments_that_no_table_can_hold_are_named(catalogue: Catalogue) -> None:
    with pytest.raises(errors.EncodeError, match=r"x-mine\[0\] is a object"):
        declare(catalogue, arguments={"x-mine": [object()]})


# ----------------------------------------------------------------------------------------------------- exclusive


def test_an_exclusive_queue_is_its_owners_alone(catalogue: Catalogue) -> None:
    declare(catalogue, exclusive=True)

    assert declare(catalogue, exclusive=True) == QueueDeclared("q", 0, 0)
    assert declare(catalogue, passive=True) == QueueDeclared("q", 0, 0)
    for command in (
        DeclareQueue("q", exclusive=True),
        DeclareQueue("q", passive=True),
        DeleteQueue("q"),
        PurgeQueue("q"),
        BindQueue("q", "amq.fanout"),
        UnbindQueue("q", "amq.fanout"),
    ):
        with pytest.raises(errors.ResourceLocked, match="'q'") as caught:
            catalogue.run(command, "somebody else")
        assert caught.value.code == 405


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_queue_declared_again_with_another_exclusivity_is_locked(catalogue: Catalogue, exclusive: bool) -> None:
    declare(catalogue, exclusive=exclusive)

    with pytest.raises(errors.ResourceLocked):
        declare(catalogue, exclusive=not exclusive)


def test_a_deleted_exclusive_queue_is_not_held_any_more(catalogue: Catalogue) -> None:
    declare(catalogue, exclusive=True)

    catalogue.run(DeleteQueue("q"))

    assert catalogue.groups == {}


def test_durability_of_an_exclusive_queue_does_not_matter(catalogue: Catalogue) -> None:
    declare(catalogue, exclusive=True, durable=True)

    declare(catalogue, exclusive=True, durable=False)


# ------------------------------------------------------------------------------------------------------ deleting


def test_deleting_a_missing_queue_is_no_error(catalogue: Catalogue) -> None:
    assert catalogue.run(DeleteQueue("nowhere")) == 0


def test_deleting_a_queue_tells_how_many_were_ready_and_drops_them(catalogue: Catalogue) -> None:
    declare(catalogue)
    catalogue.depths["q"] = Depth(3, 1, 1, 100)

    assert catalogue.run(DeleteQueue("q")) == 3
    assert catalogue.dropped == ["q"]


def test_a_deleted_queue_leaves_nothing_behind(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x"))
    catalogue.run(DeclareQueue("other"))
    before = {name: group.values for name, group in catalogue.groups.items()}
    declare(catalogue, exclusive=True, arguments={"x-expires": 5})
    catalogue.run(BindQueue("q", "x", "one"))
    catalogue.run(BindQueue("q", "x", "two"))
    catalogue.run(BindQueue("q", "amq.headers", "", {"a": [None, b"x"]}))
    catalogue.consume("q", "tag")

    catalogue.run(DeleteQueue("q"))

    assert {name: group.values for name, group in catalogue.groups.items()} == before


def test_a_queue_in_use_is_not_deleted_if_unused(catalogue: Catalogue) -> None:
    declare(catalogue)
    catalogue.consume("q", "tag", "somebody else")

    with pytest.raises(errors.PreconditionFailed, match="'q' is in use: it has 1 consumers"):
        catalogue.run(DeleteQueue("q", if_unused=True))

    catalogue.run(DeleteQueue("q"))
    assert catalogue.groups == {}


def test_a_queue_that_holds_messages_is_not_deleted_if_empty(catalogue: Catalogue) -> None:
    declare(catalogue)
    catalogue.depths["q"] = Depth(1, 0, 0, 10)

    with pytest.raises(errors.PreconditionFailed, match="not empty: it holds 1 messages"):
        catalogue.run(DeleteQueue("q", if_empty=True))


def test_deleting_if_empty_lets_the_store_look_again(catalogue: Catalogue) -> None:
    declare(catalogue)

    catalogue.run(DeleteQueue("q", if_empty=True))

    assert catalogue.changes[-1].only_empty


def test_a_purge_of_a_missing_queue_is_not_found(catalogue: Catalogue) -> None:
    with pytest.raises(errors.NotFound):
        catalogue.run(PurgeQueue("q"))


def test_a_purge_that_is_allowed_changes_no_group(catalogue: Catalogue) -> None:
    declare(catalogue)
    changes = len(catalogue.changes)

    assert catalogue.run(PurgeQueue("q")) == "q"
    assert len(catalogue.changes) == changes


# -------------------------------------------------------------------------------------------------------- expiry


def expire(catalogue: Catalogue) -> Expiry:
    reply = catalogue.carry_out(lambda view: decide_expiry(view, "q"))
    assert isinstance(reply, Expiry)
    return reply


def test_a_queue_unused_for_its_time_expires(catalogue: Catalogue) -> None:
    declare(catalogue, arguments={"x-expires": 100})
    catalogue.run(BindQueue("q", "amq.fanout"))
    catalogue.age("e/q", 100)

    assert expire(catalogue) == Expiry(deleted=True, due_ms=None)
    assert catalogue.groups == {}
    assert catalogue.dropped == ["q"]


def test_before_that_it_tells_when_to_ask_again(catalogue: Catalogue) -> None:
    declare(catalogue, arguments={"x-expires": 100})
    catalogue.age("e/q", 40)

    assert expire(catalogue) == Expiry(deleted=False, due_ms=60)


def test_a_queue_with_a_consumer_does_not_expire(catalogue: Catalogue) -> None:
    declare(catalogue, arguments={"x-expires": 100})
    catalogue.consume("q", "tag")
    catalogue.age("e/q", 1000)

    assert expire(catalogue) == Expiry(deleted=False, due_ms=None)


def test_its_time_begins_when_the_last_consumer_goes(catalogue: Catalogue) -> None:
    declare(catalogue, arguments={"x-expires": 100})
    catalogue.consume("q", "tag")
    catalogue.age("e/q", 1000)

    catalogue.cancel("q", "tag")

    assert expire(catalogue) == Expiry(deleted=False, due_ms=100)


@pytest.mark.parametrize("passive", [True, False])
def test_declaring_again_counts_as_use(catalogue: Catalogue, passive: bool) -> None:
    declare(catalogue, arguments={"x-expires": 100})
    catalogue.age("e/q", 99)

    declare(catalogue, passive=passive, arguments={"x-expires": 100})

    assert catalogue.groups["e/q"].age_ms == 0


def test_a_touch_counts_as_use(catalogue: Catalogue) -> None:
    declare(catalogue, arguments={"x-expires": 100})
    catalogue.age("e/q", 99)

    catalogue.carry_out(lambda view: decide_touch(view, "q"))

    assert catalogue.groups["e/q"].age_ms == 0


def test_touching_a_queue_that_never_expires_writes_nothing(catalogue: Catalogue) -> None:
    declare(catalogue)
    changes = len(catalogue.changes)

    catalogue.carry_out(lambda view: decide_touch(view, "q"))

    assert len(catalogue.changes) == changes


def test_a_queue_that_is_gone_does_not_expire(catalogue: Catalogue) -> None:
    assert expire(catalogue) == Expiry(deleted=False, due_ms=None)
