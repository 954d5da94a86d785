"""Routes: which queues a message reaches, by which exchanges, and on which groups of the catalogue that depends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dulse.broker import refusals
from dulse.broker.carbon_copies import further_keys, has_further_keys
from dulse.broker.catalogue import DEFINED, View, exchange_group, queue_group
from dulse.broker.definitions import ExchangeDefinition, bindings_to, read_exchange, read_queue
from dulse.broker.routing import DELAYED, Destination, GrowingMatcher, Matcher, matcher_for
from dulse.broker.rules import QueueRules
from dulse.broker.targets import plain_target
from dulse.model.records import Group, Guard, Target

_DEFAULT = ""
_METHOD = "Basic.publish"


class Reached(NamedTuple):
    """A queue that is reached, with its rules and the target of a message without priority, expiration and delay."""

    queue: str
    rules: QueueRules
    target: Target


class Route(NamedTuple):
    """Where messages go, as long as the guards hold."""

    queues: tuple[tuple[str, QueueRules], ...]
    guards: tuple[Guard, ...]
    by_headers: bool
    """The headers of the message counted: don't keep this route for its routing key."""
    targets: tuple[Target, ...]
    """The targets of a message without priority, expiration and delay."""
    is_limited: bool
    """One of the queues has a limit, of which a put has something to tell."""


class RoutingIndex:
    """One exchange at one revision, ready to be asked."""

    __slots__ = ("alternate", "definition", "matcher", "reached")

    def __init__(self, definition: ExchangeDefinition, matcher: Matcher) -> None:
        self.definition = definition
        self.matcher = matcher
        self.alternate = definition.arguments.get("alternate-exchange")
        self.reached: dict[str, Reached] = {}
        """The queues that were reached by now: bound at this revision, they cannot have been declared anew."""


class Indexes:
    """The routing indexes made last, at most one of each exchange and `limit` in all. Each thread may use it."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[Group, RoutingIndex]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Indexes of {len(self._kept)} exchanges>"

    def of(self, exchange: str, view: View) -> RoutingIndex | None:
        """Give the index of an exchange as it stands in `view`; None: there is no such exchange."""
        group = view.group(exchange_group(exchange))
        kept = self._kept.get(exchange)
        if kept is not None and kept[0].revision == group.revision:
            return kept[1]
        definition = read_exchange(exchange, group.values)
        if definition is None:
            return None
        matcher = None if kept is None else _extended(kept[1], kept[0].values, definition, group.values)
        if matcher is None:
            matcher = matcher_for(routing_type(definition), bindings_to(group.values))
        index = RoutingIndex(definition, matcher)
        self._kept[exchange] = (group, index)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return index


def _extended(
    index: RoutingIndex, before: Mapping[str, str], definition: ExchangeDefinition, after: Mapping[str, str]
) -> Matcher | None:
    """Add new bindings to the matcher of an index, if these are all that has changed; else None.

    Whoever still routes by the old index may find new bindings, too: its guards tell that it is outdated.
    """
    matcher = index.matcher
    if index.definition != definition or not isinstance(matcher, GrowingMatcher) or not before.keys() <= after.keys():
        return None
    matcher.extend(bindings_to(after.keys() - before.keys()))
    return matcher


def routing_type(definition: ExchangeDefinition) -> str:
    """Give the type by which an exchange routes: its own, or the one that it names."""
    if definition.type == DELAYED:
        return str(definition.arguments.get("x-delayed-type"))
    return definition.type


def resolve(view: View, indexes: Indexes, exchange: str, routing_key: str, headers: Mapping[str, Any]) -> Route:
    """Find the queues that a message reaches, each once.

    Follows bindings between exchanges, in circles too, and alternate exchanges where nothing matches. CC and BCC in
    the headers add routing keys. Raises NotFound (404) for a missing exchange and AccessRefused (403) for an
    internal one. What comes later on the way and does not exist is left out.
    """
    further = has_further_keys(headers)
    if exchange != _DEFAULT:
        index = _publishable(indexes.of(exchange, view), exchange)
        if not further:
            reached = _reached_at_once(index, routing_key, headers)
            if reached:
                return _route(reached, view.guards(), by_headers=index.matcher.uses_headers)
    walk = _Walk(view, indexes, (routing_key, *further_keys(headers)), headers)
    walk.visit(exchange)
    return _route(walk.reached(), view.guards(), by_headers=walk.by_headers or further)


def _publishable(index: RoutingIndex | None, exchange: str) -> RoutingIndex:
    if index is None:
        raise refusals.not_found("exchange", exchange, _METHOD)
    if index.definition.internal:
        text = f"the exchange {exchange!r} is internal: publish to one that is bound to it"
        raise refusals.access_refused(text, _METHOD)
    return index


def _reached_at_once(index: RoutingIndex, routing_key: str, headers: Mapping[str, Any]) -> list[Reached]:
    """Give the queues behind an exchange if these are all, and known; else nothing."""
    known = index.reached
    names = {}
    for kind, name in index.matcher.match(routing_key, headers):
        if kind != "queue" or name not in known:
            return []
        names[name] = known[name]
    return list(names.values())


def _route(reached: Sequence[Reached], guards: tuple[Guard, ...], *, by_headers: bool) -> Route:
    return Route(
        tuple([(queue, rules) for queue, rules, _ in reached]),
        guards,
        by_headers,
        tuple([target for _, _, target in reached]),
        any(target.max_count is not None or target.max_bytes is not None for _, _, target in reached),
    )


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

    def reached(self) -> list[Reached]:
        """Give the queues that exist; to be asked for after all exchanges were read, never before."""
        unknown = [name for name, index in self._queues.items() if index is None or name not in index.reached]
        self._view.require((), {queue_group(name): DEFINED for name in unknown})
        looked_at = (self._look_at(name, index) for name, index in self._queues.items())
        return [reached for reached in looked_at if reached is not None]

    def _look_at(self, queue: str, index: RoutingIndex | None) -> Reached | None:
        if index is not None and queue in index.reached:
            return index.reached[queue]
        # The guard of the exchange that leads to a queue covers the queue; the default exchange has none of its own.
        values = self._view.part(queue_group(queue)).values if index is None else self._view.peek(queue_group(queue))
        definition = read_queue(values)
        if definition is None:
            return None
        reached = Reached(queue, definition.rules, plain_target(queue, definition.rules))
        if index is not None:
            index.reached[queue] = reached
        return reached
