"""Which queues a message reaches, and what a route depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dulse import errors
from dulse.broker.definitions import BoundTo
from dulse.broker.routing import Destination, register_exchange_type
from dulse.broker.rules import QueueRules
from dulse.model.commands import (
    BindExchange,
    BindQueue,
    DeclareExchange,
    DeclareQueue,
    DeleteQueue,
)
from dulse.model.records import Guard, Target
from tests.broker.catalogue_rig import Catalogue


def exchange(catalogue: Catalogue, name: str, kind: str = "direct", **properties: Any) -> None:
    catalogue.run(DeclareExchange(name, kind, **properties))


def bound(catalogue: Catalogue, queue: str, to: str, key: str = "", **arguments: object) -> None:
    catalogue.run(DeclareQueue(queue))
    catalogue.run(BindQueue(queue, to, key, {name.replace("_", "-"): value for name, value in arguments.items()}))


def test_the_default_exchange_leads_to_the_queue_named_by_the_routing_key(catalogue: Catalogue) -> None:
    catalogue.run(DeclareQueue("q", arguments={"x-max-length": 3}))

    route = catalogue.route("", "q")

    assert route.queues == (("q", QueueRules(max_length=3)),)
    assert route.targets == (Target("q", max_count=3),)
    assert route.guards == (Guard("q/q", catalogue.groups["q/q"].revision),)


def test_a_route_to_a_queue_that_is_missing_depends_on_its_being_missing(catalogue: Catalogue) -> None:
    route = catalogue.route("", "nowhere")

    assert route.queues == ()
    assert route.guards == (Guard("q/nowhere", 0),)


def test_a_direct_exchange_wants_the_very_routing_key(catalogue: Catalogue) -> None:
    exchange(catalogue, "x")
    bound(catalogue, "a", "x", "one")
    bound(catalogue, "b", "x", "one")
    bound(catalogue, "c", "x", "One")

    assert catalogue.queues("x", "one") == ["a", "b"]


def test_a_queue_with_several_matching_bindings_is_reached_once(catalogue: Catalogue) -> None:
    exchange(catalogue, "x", "topic")
    bound(catalogue, "q", "x", "#")
    bound(catalogue, "q", "x", "a.*")

    assert catalogue.queues("x", "a.b") == ["q"]


def test_a_fanout_exchange_leads_everywhere(catalogue: Catalogue) -> None:
    exchange(catalogue, "x", "fanout")
    bound(catalogue, "a", "x", "whatever")
    bound(catalogue, "b", "x")

    assert catalogue.queues("x", "any key") == ["a", "b"]


@pytest.mark.parametrize("name", ["amq.headers", "amq.match"])
def test_a_headers_exchange_routes_by_headers_and_its_routes_say_so(catalogue: Catalogue, name: str) -> None:
    bound(catalogue, "q", name, colour="red")

    assert catalogue.queues(name, "", {"colour": "red"}) == ["q"]
    assert catalogue.queues(name, "", {"colour": "blue"}) == []
    assert catalogue.route(name).by_headers


def test_a_routed_message_guards_the_exchange_and_not_its_queues(catalogue: Catalogue) -> None:
    bound(catalogue, "q", "amq.fanout")

    assert catalogue.route("amq.fanout").guards == (Guard("x/amq.fanout", catalogue.groups["x/amq.fanout"].revision),)


def test_publishing_to_a_missing_exchange_is_not_found(catalogue: Catalogue) -> None:
    with pytest.raises(errors.NotFound, match="'nowhere'") as caught:
        catalogue.route("nowhere")

    assert caught.value.code == 404


def test_publishing_to_an_internal_exchange_is_refused(catalogue: Catalogue) -> None:
    exchange(catalogue, "inner", internal=True)

    with pytest.raises(errors.AccessRefused, match="internal") as caught:
        catalogue.route("inner")

    assert caught.value.code == 403


def test_bindings_between_exchanges_lead_on_also_into_internal_ones(catalogue: Catalogue) -> None:
    exchange(catalogue, "outer", "topic")
    exchange(catalogue, "inner", "direct", internal=True)
    catalogue.run(BindExchange("inner", "outer", "a.*"))
    bound(catalogue, "q", "inner", "a.b")
    bound(catalogue, "other", "inner", "a.c")

    route = catalogue.route("outer", "a.b")

    assert [queue for queue, _ in route.queues] == ["q"]
    assert {guard.group for guard in route.guards} == {"x/outer", "x/inner"}


def test_a_circle_of_exchanges_ends_and_reaches_each_queue_once(catalogue: Catalogue) -> None:
    for name in "abc":
        exchange(catalogue, name, "fanout")
        bound(catalogue, "q", name)
    for source, destination in ("ab", "bc", "ca", "aa"):
        catalogue.run(BindExchange(destination, source))

    assert catalogue.queues("a") == ["q"]


def test_what_matches_nothing_goes_to_the_alternate_exchange(catalogue: Catalogue) -> None:
    exchange(catalogue, "spare", "fanout")
    exchange(catalogue, "x", "direct", arguments={"alternate-exchange": "spare"})
    bound(catalogue, "wanted", "x", "key")
    bound(catalogue, "unwanted", "spare")

    assert catalogue.queues("x", "key") == ["wanted"]
    assert catalogue.queues("x", "other") == ["unwanted"]


def test_an_alternate_exchange_that_is_missing_is_guarded_against_its_appearance(catalogue: Catalogue) -> None:
    exchange(catalogue, "x", "direct", arguments={"alternate-exchange": "spare"})

    route = catalogue.route("x", "key")

    assert route.queues == ()
    assert Guard("x/spare", 0) in route.guards


def test_alternate_exchanges_form_chains_and_circles(catalogue: Catalogue) -> None:
    exchange(catalogue, "a", arguments={"alternate-exchange": "b"})
    exchange(catalogue, "b", arguments={"alternate-exchange": "a"})

    assert catalogue.queues("a", "key") == []


def test_the_default_exchange_can_be_the_alternate(catalogue: Catalogue) -> None:
    exchange(catalogue, "x", arguments={"alternate-exchange": ""})
    catalogue.run(DeclareQueue("key"))

    route = catalogue.route("x", "key")

    assert [queue for queue, _ in route.queues] == ["key"]
    assert {guard.group for guard in route.guards} == {"x/x", "q/key"}


def test_a_binding_to_an_exchange_counts_as_a_match_even_if_that_leads_nowhere(catalogue: Catalogue) -> None:
    exchange(catalogue, "spare", "fanout")
    bound(catalogue, "unwanted", "spare")
    exchange(catalogue, "x", "fanout", arguments={"alternate-exchange": "spare"})
    exchange(catalogue, "dead end", "fanout")
    catalogue.run(BindExchange("dead end", "x"))

    assert catalogue.queues("x") == []


def test_cc_and_bcc_add_routing_keys_and_forbid_keeping_the_route(catalogue: Catalogue) -> None:
    for name in "abc":
        catalogue.run(DeclareQueue(name))

    route = catalogue.route("", "a", {"CC": ["b", "a"], "BCC": ["c"]})

    assert sorted(queue for queue, _ in route.queues) == ["a", "b", "c"]
    assert route.by_headers


def test_an_alternate_exchange_is_spared_if_a_further_key_matches(catalogue: Catalogue) -> None:
    exchange(catalogue, "spare", "fanout")
    bound(catalogue, "unwanted", "spare")
    exchange(catalogue, "x", arguments={"alternate-exchange": "spare"})
    bound(catalogue, "q", "x", "key")

    assert catalogue.queues("x", "no key", {"CC": ["key"]}) == ["q"]


@pytest.mark.parametrize("value", ["key", [1], {"a": 1}])
def test_cc_that_is_no_list_of_keys_is_refused(catalogue: Catalogue, value: object) -> None:
    with pytest.raises(errors.PreconditionFailed, match="CC"):
        catalogue.route("", "a", {"CC": value})


def test_names_may_hold_any_character(catalogue: Catalogue) -> None:
    strange = 'a/"b"\\,[c]\n\0 ü 😀'
    exchange(catalogue, strange, "topic")
    bound(catalogue, strange, strange, f"{strange}.*")

    assert catalogue.queues(strange, f"{strange}.x") == [strange]


def test_an_index_is_made_anew_when_the_bindings_change(catalogue: Catalogue) -> None:
    bound(catalogue, "a", "amq.direct", "key")
    assert catalogue.queues("amq.direct", "key") == ["a"]

    bound(catalogue, "b", "amq.direct", "key")

    assert catalogue.queues("amq.direct", "key") == ["a", "b"]


def test_a_queue_declared_anew_with_other_rules_is_routed_with_these(catalogue: Catalogue) -> None:
    bound(catalogue, "q", "amq.fanout")
    assert catalogue.route("amq.fanout").queues == (("q", QueueRules()),)

    catalogue.run(DeleteQueue("q"))
    catalogue.run(DeclareQueue("q", arguments={"x-message-ttl": 5}))
    catalogue.run(BindQueue("q", "amq.fanout"))

    assert catalogue.route("amq.fanout").queues == (("q", QueueRules(message_ttl_ms=5)),)


def test_a_second_route_over_the_same_bindings_reads_no_queue_again(catalogue: Catalogue) -> None:
    bound(catalogue, "q", "amq.headers", colour="red")
    catalogue.route("amq.headers", "", {"colour": "red"})

    catalogue.route("amq.headers", "", {"colour": "red"})

    assert catalogue.rounds == 1


def test_a_second_route_is_as_the_first(catalogue: Catalogue) -> None:
    exchange(catalogue, "x", "topic")
    bound(catalogue, "q", "x", "#")
    bound(catalogue, "q", "x", "a.*")

    first = catalogue.route("x", "a.b")

    assert catalogue.route("x", "a.b") == first
    assert [queue for queue, _ in first.queues] == ["q"]


def test_an_exchange_type_of_ones_own_routes_as_it_likes(catalogue: Catalogue) -> None:
    class Longest:
        uses_headers = False

        def __init__(self, bindings: Sequence[BoundTo]) -> None:
            self.bindings = bindings

        def match(self, routing_key: str, headers: Mapping[str, Any]) -> list[Destination]:
            fitting = [one for one in self.bindings if routing_key.startswith(one.routing_key)]
            best = max(fitting, key=lambda one: len(one.routing_key), default=None)
            return [Destination(best.kind, best.destination)] if best else []

    register_exchange_type("x-longest-prefix", Longest)
    exchange(catalogue, "x", "x-longest-prefix")
    bound(catalogue, "short", "x", "a")
    bound(catalogue, "long", "x", "a/b")

    assert catalogue.queues("x", "a/b/c") == ["long"]
    assert catalogue.queues("x", "a/c") == ["short"]


def test_the_types_of_amqp_cannot_be_replaced() -> None:
    with pytest.raises(errors.InvalidArgument, match="'topic'"):
        register_exchange_type("topic", lambda _bindings: pytest.fail("never made"))


def test_a_delayed_message_exchange_routes_as_the_type_it_names(catalogue: Catalogue) -> None:
    exchange(catalogue, "x", "x-delayed-message", arguments={"x-delayed-type": "topic"})
    bound(catalogue, "q", "x", "a.#")

    assert catalogue.queues("x", "a.b.c") == ["q"]
