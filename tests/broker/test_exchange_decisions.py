"""Declaring and deleting exchanges."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dulse import errors
from dulse.model.commands import BindExchange, BindQueue, DeclareExchange, DeclareQueue, DeleteExchange
from tests.broker.catalogue_rig import Catalogue

PREDECLARED = ["amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"]


def test_a_declared_exchange_is_there(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x", "topic"))

    assert catalogue.run(DeclareExchange("x", passive=True)) is None


def test_declaring_the_same_again_changes_nothing(catalogue: Catalogue) -> None:
    command = DeclareExchange("x", "topic", arguments={"alternate-exchange": "spare", "x-mine": 1})
    catalogue.run(command)
    before = dict(catalogue.groups)

    catalogue.run(command)

    assert catalogue.groups == before


@pytest.mark.parametrize(
    ("attribute", "other"),
    [("type", "fanout"), ("durable", False), ("auto_delete", True), ("internal", True)],
)
def test_declaring_with_another_property_fails_and_names_it(catalogue: Catalogue, attribute: str, other: Any) -> None:
    catalogue.run(DeclareExchange("x"))

    with pytest.raises(errors.PreconditionFailed, match=rf"inequivalent arg '{attribute}' for exchange 'x'") as caught:
        catalogue.run(DeclareExchange("x", **{attribute: other}))

    assert caught.value.code == 406


def test_another_alternate_exchange_is_another_exchange(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x", arguments={"alternate-exchange": "a"}))

    with pytest.raises(errors.PreconditionFailed, match=r"alternate-exchange.*received none but current is 'a'"):
        catalogue.run(DeclareExchange("x"))


def test_arguments_that_mean_nothing_to_the_broker_may_differ(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x", arguments={"x-mine": 1}))

    catalogue.run(DeclareExchange("x", arguments={"x-mine": 2}))


def test_an_alternate_exchange_must_be_a_name(catalogue: Catalogue) -> None:
    with pytest.raises(errors.PreconditionFailed, match=r"'alternate-exchange' .* 7 "):
        catalogue.run(DeclareExchange("x", arguments={"alternate-exchange": 7}))


@pytest.mark.parametrize("unknown", ["topical", 7, ["topic"]])
def test_an_unknown_type_is_an_invalid_command(catalogue: Catalogue, unknown: Any) -> None:
    named = re.escape(repr(unknown))
    with pytest.raises(errors.CommandInvalid, match=rf"unknown exchange type {named} .*direct, fanout") as caught:
        catalogue.run(DeclareExchange("x", unknown))

    assert caught.value.code == 503


@pytest.mark.parametrize("arguments", [{}, {"x-delayed-type": "none such"}, {"x-delayed-type": ["topic"]}])
def test_an_exchange_of_delayed_messages_must_say_how_it_routes(
    catalogue: Catalogue, arguments: dict[str, Any]
) -> None:
    with pytest.raises(errors.PreconditionFailed, match="x-delayed-type"):
        catalogue.run(DeclareExchange("x", "x-delayed-message", arguments=arguments))


def test_a_missing_exchange_is_not_found_passively(catalogue: Catalogue) -> None:
    with pytest.raises(errors.NotFound, match="no exchange 'x'") as caught:
        catalogue.run(DeclareExchange("x", passive=True))

    assert caught.value.code == 404


def test_a_passive_declaration_looks_at_nothing_but_the_name(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x", "fanout"))

    catalogue.run(DeclareExchange("x", "no such type", durable=False, passive=True))


@pytest.mark.parametrize("name", ["", *PREDECLARED])
def test_predeclared_exchanges_exist_without_being_stored(catalogue: Catalogue, name: str) -> None:
    catalogue.run(DeclareExchange(name, passive=True))

    assert catalogue.groups == {}


def test_a_predeclared_exchange_may_be_declared_as_it_is(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("amq.topic", "topic"))

    with pytest.raises(errors.PreconditionFailed, match="type"):
        catalogue.run(DeclareExchange("amq.topic", "direct"))


def test_reserved_names_are_refused(catalogue: Catalogue) -> None:
    with pytest.raises(errors.AccessRefused, match=r"'amq\.mine'.*reserved") as caught:
        catalogue.run(DeclareExchange("amq.mine"))

    assert caught.value.code == 403


def test_the_default_exchange_is_not_to_be_declared(catalogue: Catalogue) -> None:
    with pytest.raises(errors.AccessRefused, match="default exchange"):
        catalogue.run(DeclareExchange(""))


@pytest.mark.parametrize("name", ["", *PREDECLARED])
def test_predeclared_exchanges_are_not_to_be_deleted(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(errors.AccessRefused):
        catalogue.run(DeleteExchange(name))


def test_deleting_a_missing_exchange_is_no_error(catalogue: Catalogue) -> None:
    catalogue.run(DeleteExchange("nowhere"))

    assert catalogue.changes == []


def test_a_deleted_exchange_leaves_nothing_behind(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x"))
    catalogue.run(DeclareExchange("y"))
    catalogue.run(DeclareQueue("q"))
    before = {name: group.values for name, group in catalogue.groups.items()}
    catalogue.run(DeclareExchange("gone"))
    catalogue.run(BindQueue("q", "gone", "key", {"a": b"1"}))
    catalogue.run(BindExchange("gone", "x", "key"))
    catalogue.run(BindExchange("y", "gone"))
    catalogue.run(BindExchange("gone", "gone"))

    catalogue.run(DeleteExchange("gone"))

    assert {name: group.values for name, group in catalogue.groups.items()} == before


def test_an_exchange_in_use_is_not_deleted_if_unused(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x"))
    catalogue.run(DeclareQueue("q"))
    catalogue.run(BindQueue("q", "x"))

    with pytest.raises(errors.PreconditionFailed, match="'x' is in use"):
        catalogue.run(DeleteExchange("x", if_unused=True))


def test_an_exchange_that_others_lead_to_is_unused(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x"))
    catalogue.run(BindExchange("x", "amq.fanout"))

    catalogue.run(DeleteExchange("x", if_unused=True))

    assert "x/x" not in catalogue.groups


def test_deleting_an_exchange_ends_auto_delete_ones_that_led_to_it_only(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("last"))
    for before, after in (("first", "second"), ("second", "last")):
        catalogue.run(DeclareExchange(before, auto_delete=True))
        catalogue.run(DeclareExchange(after, auto_delete=after != "last"))
        catalogue.run(BindExchange(after, before))

    catalogue.run(DeleteExchange("last"))

    assert catalogue.groups == {}


def test_a_name_over_255_bytes_is_refused(catalogue: Catalogue) -> None:
    catalogue.run(DeclareExchange("x" * 255))

    with pytest.raises(errors.InvalidArgument, match=r"256 bytes.*limit is 255"):
        catalogue.run(DeclareExchange("ü" * 128))
