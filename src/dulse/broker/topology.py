"""Routes: which queues a message reaches, by which exchanges, and on which groups of the catalogue that depends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dulse.broker import refusals
from dulse.broker.carbon_copies import further_keys, has_further_keys
from dulse.broker.catalogue import View, exchange_group, queue_group
from dulse.broker.definitions import ExchangeDefinition, bindings_to, read_exchange, read_queue
from dulse.broker.routing import Destination, Matcher, matcher_for
from dulse.broker.rules import QueueRules
from dulse.broker.targets import plain_target
from dulse.model.records import Guard, Revision, Target

_DEFAULT = ""
_METHOD = "Basic.publish"


@dataclass(frozen=True, slots=True)
class Route:
    """Where messages go, as long as the guards hold."""

    queues: tuple[tuple[str, QueueRules], ...]
    guards: tuple[Guard, ...]
    by_headers: bool = False
    """The headers of the message counted: don't keep this route for its routing key."""
    targets: tuple[Target, ...] = field(init=False)
    """The targets of a message without priority, expiration and delay."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(plain_target(queue, rules) for queue, rules in self.queues))


class RoutingIndex:
    """One exchange at one revision, ready to be asked."""

    __slots__ = ("alternate", "definition", "matcher", "rules")

    def __init__(self, definition: ExchangeDefinition, matcher: Matcher) -> None:
        self.definition = definition
        self.matcher = matcher
        self.alternate = definition.arguments.get("alternate-exchange")
        self.rules: dict[str, QueueRules] = {}
        """Of the queues that were reached: bound to this revision, they cannot have been declared anew."""


class Indexes:
    """The routing indexes made last, at most one of each exchange and `limit` in all. Each thread may use it."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[Revision, RoutingIndex]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Indexes of {len(self._kept)} exchanges>"

    def of(self, exchange: str, view: View) -> RoutingIndex | None:
        """Give the index of an exchange as it stands in `view`; None: there is no such exchange."""
        group = view.group(exchange_group(exchange))
        kept = self._kept.get(exchange)
        if kept is not None and kept[0] == group.revision:
            return kept[1]
        definition = read_exchange(exchange, group.values)
        if definition is None:
            return None
        index = RoutingIndex(definition, matcher_for(routing_type(definition), bindings_to(group.values)))
        self._kept[exchange] = (group.revision, index)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return index


def routing_type(definition: ExchangeDefinition) -> str:
    """Give the type by which an exchange routes; x-delayed-message, a type of RabbitMQ's plug-in, names another."""
    if definition.type == "x-delayed-message":
        return str(definition.arguments.get("x-delayed-type"))
    return definition.type


def resolve(view: View, indexes: Indexes, exchange: str, routing_key: str, headers: Mapping[str, Any]) -> Route:
    """Find the queues that a message reaches, each once.

    Follows bindings between exchanges, in circles too, and alternate exchanges where nothing matches. CC and BCC in
    the headers add routing keys. Raises NotFound (404) for a missing exchange and AccessRefused (403) for an
    internal one. What comes later on the way and does not exist is left out.
    """
    if exchange != _DEFAULT:
        _check_publishable(indexes.of(exchange, view), exchange)
    walk = _Walk(view, indexes, (routing_key, *further_keys(headers)), headers)
    walk.visit(exchange)
    by_headers = walk.by_headers or has_further_keys(headers)
    return Route(walk.queues_with_rules(), view.guards(), by_headers)


def _check_publishable(index: RoutingIndex | None, exchange: str) -> None:
    if index is None:
        raise refusals.not_found("exchange", exchange, _METHOD)
    if index.definition.internal:
        text = f"the exchange {exchange!r} is internal: publish to one that is bound to it"
        raise refusals.access_refused(text, _METHOD)


class _Walk:
    """One message's way through the exchanges."""

    def __init__(self, view: View, indexes: Indexes, routing_keys: tuple[str, ...], headers: Mapping[str, Any]) -> None:
        self._view = view
        self._indexes = indexes
        self._keys = routing_keys
        self._headers = headers
        self._queues: dict[str, RoutingIndex | None] = {}
        """Each queue with the index that led to it; None: the default exchange did."""
        self.by_headers = False

    def visit(self, start: str) -> None:
        """Follow every way from an exchange."""
        seen = {start}
        waiting = [start]
        while waiting:
            self._view.require(exchange_group(name) for name in waiting if name != _DEFAULT)
            reached = [name for exchange in waiting for name in self._pass(exchange)]
            waiting = [name for name in dict.fromkeys(reached) if name not in seen]
            seen.update(waiting)

    def _pass(self, exchange: str) -> Iterable[str]:
        """Note the queues that an exchange leads to, and give the exchanges."""
        if exchange == _DEFAULT:
            self._queues.update((key, None) for key in self._keys if key not in self._queues)
            return ()
        index = self._indexes.of(exchange, self._view)
        if index is None:
            return ()
        self.by_headers = self.by_headers or index.matcher.uses_headers
        found = self._match(index.matcher)
        if not found and index.alternate is not None:
            return (index.alternate,)
        for kind, name in found:
            if kind == "queue":
                self._queues.setdefault(name, index)
        return (name for kind, name in found if kind == "exchange")

    def _match(self, matcher: Matcher) -> list[Destination]:
        return [place for key in self._keys for place in matcher.match(key, self._headers)]

    def queues_with_rules(self) -> tuple[tuple[str, QueueRules], ...]:
        """Give the queues that exist, with their rules; asked for after all exchanges were read, never before."""
        unknown = [name for name, index in self._queues.items() if index is None or name not in index.rules]
        self._view.require(map(queue_group, unknown))
        return tuple(
            (name, rules) for name, index in self._queues.items() if (rules := self._rules(name, index)) is not None
        )

    def _rules(self, queue: str, index: RoutingIndex | None) -> QueueRules | None:
        if index is not None and queue in index.rules:
            return index.rules[queue]
        # The guard of the exchange that leads to a queue covers the queue; the default exchange has none of its own.
        values = self._view.group(queue_group(queue)).values if index is None else self._view.peek(queue_group(queue))
        definition = read_queue(values)
        if definition is None:
            return None
        if index is not None:
            index.rules[queue] = definition.rules
        return definition.rules
