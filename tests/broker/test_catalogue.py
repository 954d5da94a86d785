"""Views, drafts, and a catalogue that somebody else has written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.broker.catalogue import Draft, NeedDepth, NeedGroups, View
from dulse.broker.decisions import decide
from dulse.broker.definitions import bindings_from, bindings_to, consumers, field_from, field_to
from dulse.model.commands import DeclareExchange, DeclareQueue
from dulse.model.records import Group, Guard
from tests.broker.catalogue_rig import Catalogue

TEXTS = st.text(max_size=5)


def test_a_view_asks_for_all_groups_that_are_missing_at_once() -> None:
    with pytest.raises(NeedGroups) as caught:
        View({"a": Group(1, 0, {})}).require(["a", "b", "c"])

    assert caught.value.names == {"b", "c"}


def test_a_view_asks_for_a_depth_it_does_not_know() -> None:
    with pytest.raises(NeedDepth) as caught:
        View().depth("q")

    assert caught.value.queue == "q"


def test_a_view_remembers_what_was_looked_at() -> None:
    view = View({"a": Group(7, 0, {}), "b": Group(8, 0, {})})

    view.group("a")

    assert view.guards() == (Guard("a", 7),)


def test_a_draft_sees_what_it_has_written() -> None:
    draft = Draft(View({"a": Group(7, 0, {"one": "1", "two": "2"})}))

    draft.write("a", "three", "3")
    assert draft.delete("a", "one")

    assert draft.values("a") == {"two": "2", "three": "3"}
    assert not draft.delete("a", "one")


def test_a_draft_expects_the_revision_of_every_group_it_looked_at() -> None:
    draft = Draft(View({"a": Group(7, 0, {}), "b": Group(8, 0, {})}))

    draft.values("a")
    draft.write("b", "", "1")
    change = draft.decision().change

    assert change is not None
    assert change.expect == {"a": 7, "b": 8}


def test_a_draft_without_writes_changes_nothing() -> None:
    draft = Draft(View({"a": Group(7, 0, {})}))
    draft.values("a")

    assert draft.decision("reply") == (None, "reply")


def test_a_declaration_reads_all_it_needs_in_one_round(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("q", exclusive=True))

    assert catalogue.rounds == 1


@given(st.sampled_from(["queue", "exchange"]), TEXTS, TEXTS, st.dictionaries(TEXTS, st.none() | st.integers() | TEXTS))
def test_bindings_of_any_names_are_read_as_written(
    kind: str, name: str, key: str, arguments: dict[str, object]
) -> None:
    values = {"": "{}", field_to(kind, name, key, arguments): "1", field_from(name, key, arguments): "1"}  # type: ignore[arg-type]

    assert bindings_to(values) == [(kind, name, key, arguments)]
    assert bindings_from(values) == [(name, key, arguments)]


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"type": "direct", "colour": "red"}'])
def test_a_definition_that_cannot_be_understood_is_a_corrupt_store(text: str) -> None:
    view = View({"x/x": Group(1, 0, {"": text})})

    with pytest.raises(errors.StorageCorrupt, match="exchange"):
        decide(DeclareExchange("x"), view, "me", "")


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"arguments": []}', '{"arguments": {}, "colour": "red"}'])
def test_a_queue_that_cannot_be_understood_is_a_corrupt_store(text: str) -> None:
    view = View({"q/q": Group(1, 0, {"": text}), "c/q": Group(0, 0, {}), "e/q": Group(0, 0, {})})

    with pytest.raises(errors.StorageCorrupt, match="queue"):
        decide(DeclareQueue("q"), view, "me", "")


@pytest.mark.parametrize("name", ["nonsense", "{}"])
def test_a_field_that_cannot_be_understood_is_a_corrupt_store(name: str) -> None:
    with pytest.raises(errors.StorageCorrupt):
        bindings_to({name: "1"})


def test_a_consumer_that_cannot_be_understood_is_a_corrupt_store() -> None:
    with pytest.raises(errors.StorageCorrupt):
        consumers({'["me"]': "{}"})
