"""Bindings: made, taken away, and exchanges that go with their last one."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.model.commands import (
    BindExchange,
    BindQueue,
    Command,
    DeclareExchange,
    DeclareQueue,
    DeleteQueue,
    PurgeQueue,
    UnbindExchange,
    UnbindQueue,
)
from tests.broker.catalogue_rig import Catalogue


@pytest.fixture
def catalogue() -> Catalogue:
    """Give a catalogue with a queue and two exchanges."""
    catalogue = Catalogue()
    catalogue.run(DeclareQueue("q"))
    catalogue.run(DeclareExchange("x", "topic"))
    catalogue.run(DeclareExchange("y", "fanout"))
    return catalogue


def values(catalogue: Catalogue) -> dict[str, Any]:
    return {name: dict(group.values) for name, group in catalogue.groups.items()}


@pytest.mark.parametrize(
    ("bind", "unbind"),
    [
        (BindQueue("q", "x", "a.*"), UnbindQueue("q", "x", "a.*")),
        (BindQueue("q", "amq.headers", "", {"a": b"1"}), UnbindQueue("q", "amq.headers", "", {"a": b"1"})),
        (BindExchange("y", "x", "a.*"), UnbindExchange("y", "x", "a.*")),
        (BindExchange("x", "x"), UnbindExchange("x", "x")),
    ],
)
def test_a_binding_taken_away_leaves_nothing_behind(catalogue: Catalogue, bind: Command, unbind: Command) -> None:
    before = values(catalogue)
    catalogue.run(bind)
    assert values(catalogue) != before

    catalogue.run(unbind)

    assert values(catalogue) == before


def test_the_same_binding_again_changes_nothing(catalogue: Catalogue) -> None:
    catalogue.run(BindQueue("q", "x", "key", {"a": 1, "b": {"c": 2}}))
    changes = len(catalogue.changes)

    catalogue.run(BindQueue("q", "x", "key", {"b": {"c": 2}, "a": 1}))

    assert len(catalogue.changes) == changes


@pytest.mark.parametrize(
    "command",
    [
        BindQueue("q", "x", "new"),
        BindQueue("q", "x", "key 3"),
        UnbindQueue("q", "x", "key 3"),
        BindExchange("y", "x", "new"),
        UnbindExchange("y", "x", "key 3"),
        DeclareExchange("x", "topic"),
        DeclareQueue("q"),
        PurgeQueue("q"),
    ],
    ids=repr,
)
def test_bindings_that_are_not_asked_for_cost_nothing(catalogue: Catalogue, command: Command) -> None:
    for number in range(50):
        catalogue.run(BindQueue("q", "x", f"key {number}"))
        catalogue.run(BindExchange("y", "x", f"key {number}"))

    catalogue.run(command)

    assert (catalogue.rounds, catalogue.values_read <= 4) == (1 + isinstance(command, DeclareQueue), True)


def test_a_binding_writes_both_ends_in_one_change(catalogue: Catalogue) -> None:
    catalogue.run(BindQueue("q", "x", "key"))

    assert {group for group, _ in catalogue.changes[-1].writes} == {"x/x", "q/q"}


@pytest.mark.parametrize(
    "other",
    [
        UnbindQueue("q", "x", "another key"),
        UnbindQueue("q", "x", "key", {"a": 1}),
        UnbindQueue("q", "y", "key"),
        UnbindQueue("q", "nowhere", "key"),
        UnbindQueue("nowhere", "x", "key"),
        UnbindExchange("q", "x", "key"),
        UnbindExchange("nowhere", "x", "key"),
    ],
)
def test_taking_away_a_binding_that_is_not_there_is_no_error(catalogue: Catalogue, other: Command) -> None:
    catalogue.run(BindQueue("q", "x", "key"))
    before = values(catalogue)

    catalogue.run(other)

    assert values(catalogue) == before


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (BindQueue("nowhere", "x"), "queue 'nowhere'"),
        (BindQueue("q", "nowhere"), "exchange 'nowhere'"),
        (BindExchange("nowhere", "x"), "exchange 'nowhere'"),
        (BindExchange("x", "nowhere"), "exchange 'nowhere'"),
    ],
)
def test_both_ends_must_exist(catalogue: Catalogue, command: Command, missing: str) -> None:
    with pytest.raises(errors.NotFound, match=missing) as caught:
        catalogue.run(command)

    assert caught.value.code == 404


@pytest.mark.parametrize(
    "command",
    [
        BindQueue("q", ""),
        UnbindQueue("q", ""),
        BindExchange("x", ""),
        BindExchange("", "x"),
        UnbindExchange("x", ""),
        UnbindExchange("", "x"),
    ],
)
def test_the_default_exchange_cannot_be_bound(catalogue: Catalogue, command: Command) -> None:
    with pytest.raises(errors.AccessRefused, match="default exchange") as caught:
        catalogue.run(command)

    assert caught.value.code == 403


@pytest.mark.parametrize("value", ["some", 1, None, ["any"]])
def test_x_match_must_be_one_of_its_four(catalogue: Catalogue, value: Any) -> None:
    with pytest.raises(errors.PreconditionFailed, match=r"x-match.*all, any, all-with-x"):
        catalogue.run(BindQueue("q", "amq.match", "", {"x-match": value}))


def test_x_match_means_nothing_elsewhere(catalogue: Catalogue) -> None:
    catalogue.run(BindQueue("q", "x", "", {"x-match": "some"}))


def test_a_routing_key_over_255_bytes_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"routing key .* limit is 255"):
        catalogue.run(BindQueue("q", "x", "k" * 256))


def test_an_auto_delete_exchange_goes_with_its_last_binding(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("short-lived", "topic", auto_delete=True))
    catalogue.run(BindQueue("q", "short-lived", "a"))
    catalogue.run(BindQueue("q", "short-lived", "b"))

    catalogue.run(UnbindQueue("q", "short-lived", "a"))
    assert "x/short-lived" in catalogue.groups

    catalogue.run(UnbindQueue("q", "short-lived", "b"))
    assert "x/short-lived" not in catalogue.groups


def test_an_auto_delete_exchange_that_was_never_bound_stays(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("short-lived", auto_delete=True))
    catalogue.run(BindExchange("short-lived", "x"))

    catalogue.run(UnbindExchange("short-lived", "x"))
    catalogue.run(UnbindQueue("q", "short-lived"))

    assert "x/short-lived" in catalogue.groups


def test_an_auto_delete_exchange_goes_with_the_last_queue_bound_to_it(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("short-lived", auto_delete=True))
    catalogue.run(BindQueue("q", "short-lived", "a"))
    catalogue.run(BindQueue("q", "short-lived", "b"))
    catalogue.run(BindExchange("short-lived", "x"))

    catalogue.run(DeleteQueue("q"))

    assert sorted(catalogue.groups) == ["x/x", "x/y"]
    assert catalogue.queues("x") == []


def test_auto_delete_exchanges_in_a_circle_go_together(catalogue: Catalogue) -> None:
    for name in "ab":
        catalogue.run(DeclareExchange(name, auto_delete=True))
    catalogue.run(BindExchange("b", "a"))
    catalogue.run(BindQueue("q", "b"))

    catalogue.run(UnbindQueue("q", "b"))

    assert sorted(catalogue.groups) == ["q/q", "x/x", "x/y"]
