"""Exchange types: how each finds, among the bindings of an exchange, those that a message matches.

A matcher is an index over the bindings of one exchange, made once for each revision of them. What it costs to ask
it depends on the message and on the number of matches, not on the number of bindings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from dulse import errors
from dulse.broker.definitions import BoundTo, Kind
from dulse.broker.header_matching import HeadersMatcher
from dulse.broker.topics import TopicTrie


class Destination(NamedTuple):
    """Where a binding leads."""

    kind: Kind
    name: str


Headers = Mapping[str, Any]

TYPES_OF_AMQP = frozenset({"direct", "fanout", "topic", "headers"})
"""The exchange types that every broker has (AMQP 0-9-1 §3.1.3)."""

DELAYED = "x-delayed-message"
"""A type of RabbitMQ's plug-in, which names in its argument x-delayed-type the one by which it routes."""


class Matcher(Protocol):
    """An index over the bindings of one exchange."""

    @property
    def uses_headers(self) -> bool:
        """The headers of a message count, so that routes cannot be kept for a routing key."""
        ...

    def match(self, routing_key: str, headers: Headers) -> Iterable[Destination]:
        """Give where a message goes, in any order; a destination may come more than once."""
        ...


@runtime_checkable
class GrowingMatcher(Matcher, Protocol):
    """A matcher that can take more bindings in while others ask it; one that cannot is made anew."""

    def extend(self, bindings: Sequence[BoundTo]) -> None:
        """Take further bindings in."""
        ...


MatcherFactory = Callable[[Sequence[BoundTo]], Matcher]
"""Makes the index over the bindings of one exchange."""


class DirectMatcher:
    """The routing key of the message is that of the binding."""

    uses_headers = False

    def __init__(self, bindings: Sequence[BoundTo]) -> None:
        self._destinations: dict[str, list[Destination]] = {}
        self.extend(bindings)

    def extend(self, bindings: Sequence[BoundTo]) -> None:
        """Take further bindings in."""
        for binding in bindings:
            self._destinations.setdefault(binding.routing_key, []).append(destination_of(binding))

    def match(self, routing_key: str, headers: Headers) -> Iterable[Destination]:
        """Give where messages with this key go."""
        return self._destinations.get(routing_key, ())


class FanoutMatcher:
    """Every message goes everywhere."""

    uses_headers = False

    def __init__(self, bindings: Sequence[BoundTo]) -> None:
        self._destinations: tuple[Destination, ...] = ()
        self.extend(bindings)

    def extend(self, bindings: Sequence[BoundTo]) -> None:
        """Take further bindings in."""
        self._destinations = tuple(dict.fromkeys((*self._destinations, *map(destination_of, bindings))))

    def match(self, routing_key: str, headers: Headers) -> Iterable[Destination]:
        """Give all there are."""
        return self._destinations


class TopicMatcher:
    """The routing key of the message fits the pattern that is the binding's."""

    uses_headers = False

    def __init__(self, bindings: Sequence[BoundTo]) -> None:
        self._trie: TopicTrie[Destination] = TopicTrie()
        self.extend(bindings)

    def extend(self, bindings: Sequence[BoundTo]) -> None:
        """Take further bindings in."""
        for binding in bindings:
            self._trie.add(binding.routing_key, destination_of(binding))

    def match(self, routing_key: str, headers: Headers) -> Iterable[Destination]:
        """Give where the patterns lead that the key fits."""
        return self._trie.match(routing_key)


class HeadersExchangeMatcher:
    """The headers of the message fit the arguments of the binding."""

    uses_headers = True

    def __init__(self, bindings: Sequence[BoundTo]) -> None:
        self._headers: HeadersMatcher[Destination] = HeadersMatcher()
        self.extend(bindings)

    def extend(self, bindings: Sequence[BoundTo]) -> None:
        """Take further bindings in."""
        for binding in bindings:
            self._headers.add(binding.arguments, destination_of(binding))
        self._headers.arrange()

    def match(self, routing_key: str, headers: Headers) -> Iterable[Destination]:
        """Give where the bindings lead that these headers satisfy."""
        return self._headers.match(headers)


def destination_of(binding: BoundTo) -> Destination:
    """Give where a binding leads."""
    return Destination(binding.kind, binding.destination)


_factories: dict[str, MatcherFactory] = {
    "direct": DirectMatcher,
    "fanout": FanoutMatcher,
    "topic": TopicMatcher,
    "headers": HeadersExchangeMatcher,
}


def register_exchange_type(name: str, matcher_factory: MatcherFactory) -> None:
    """Add an exchange type of your own, for this process: every process that declares or publishes must do so.

    The four types of AMQP cannot be replaced. Indexes that were already made keep the matcher they have.
    """
    if name in TYPES_OF_AMQP:
        text = f"the exchange type {name!r} is AMQP's own: choose another name for yours, such as 'x-{name}'"
        raise errors.make(errors.InvalidArgument, text)
    _factories[name] = matcher_factory


def exchange_types() -> tuple[str, ...]:
    """Give the names of the types that exist, in which anything may be looked for, hashable or not."""
    return tuple(_factories)


def matcher_for(exchange_type: str, bindings: Sequence[BoundTo]) -> Matcher:
    """Make the index over these bindings; NotSupported names a type that this process has not registered."""
    factory = _factories.get(exchange_type)
    if factory is None:
        text = (
            f"the exchange type {exchange_type!r} is not known in this process; "
            "register it with dulse.broker.routing.register_exchange_type, as was done where the exchange was declared"
        )
        raise errors.make(errors.NotSupported, text)
    return factory(bindings)
