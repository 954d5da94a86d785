"""What the fields and values of the catalogue's groups say, as frozen data and as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from dulse import errors
from dulse.broker import tables
from dulse.broker.catalogue import DEFINITION
from dulse.broker.rules import QueueRules

PRESENT = "1"
"""The value of a field that says all by its name."""

Kind = Literal["queue", "exchange"]


@dataclass(frozen=True, slots=True)
class ExchangeDefinition:
    """An exchange as it was declared."""

    type: str
    durable: bool = True
    auto_delete: bool = False
    internal: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueDefinition:
    """A queue as it was declared; `owner` is whom it belongs to if it is exclusive."""

    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    rules: QueueRules = field(default_factory=QueueRules, compare=False)


class ConsumerEntry(NamedTuple):
    """A consumer of a queue; `order` tells who came first."""

    owner: str
    tag: str
    exclusive: bool
    priority: int
    order: int


class BoundTo(NamedTuple):
    """A binding as the exchange at its source knows it."""

    kind: Kind
    destination: str
    routing_key: str
    arguments: Mapping[str, Any]


class BoundFrom(NamedTuple):
    """A binding as the queue or exchange at its end knows it."""

    source: str
    routing_key: str
    arguments: Mapping[str, Any]


PREDECLARED: Mapping[str, ExchangeDefinition] = {
    "": ExchangeDefinition("direct"),
    "amq.direct": ExchangeDefinition("direct"),
    "amq.fanout": ExchangeDefinition("fanout"),
    "amq.topic": ExchangeDefinition("topic"),
    "amq.headers": ExchangeDefinition("headers"),
    "amq.match": ExchangeDefinition("headers"),
}
"""The exchanges that exist without being declared (AMQP 0-9-1 §3.1.3)."""


def write_exchange(definition: ExchangeDefinition) -> str:
    """Write what is stored of an exchange."""
    return tables.encode_canonical(
        {
            "type": definition.type,
            "durable": definition.durable,
            "auto_delete": definition.auto_delete,
            "internal": definition.internal,
            "arguments": definition.arguments,
        }
    )


def read_exchange(exchange: str, values: Mapping[str, str]) -> ExchangeDefinition | None:
    """Read what an exchange's group says of it; None: no such exchange."""
    text = values.get(DEFINITION)
    return PREDECLARED.get(exchange) if text is None else _parse_exchange(text)


def write_queue(definition: QueueDefinition) -> str:
    """Write what is stored of a queue."""
    return tables.encode_canonical(
        {
            "durable": definition.durable,
            "exclusive": definition.exclusive,
            "auto_delete": definition.auto_delete,
            "arguments": definition.arguments,
            "owner": definition.owner,
        }
    )


def read_queue(values: Mapping[str, str]) -> QueueDefinition | None:
    """Read what a queue's group says of it; None: no such queue."""
    text = values.get(DEFINITION)
    return None if text is None else _parse_queue(text)


@lru_cache(maxsize=1024)
def _parse_exchange(text: str) -> ExchangeDefinition:
    try:
        return ExchangeDefinition(**tables.decode(text))
    except (ValueError, TypeError) as error:
        raise _corrupt("exchange", text) from error


@lru_cache(maxsize=1024)
def _parse_queue(text: str) -> QueueDefinition:
    try:
        stored = tables.decode(text)
        return QueueDefinition(**stored, rules=QueueRules.of(stored["arguments"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _corrupt("queue", text) from error


# ------------------------------------------------------------------------------------------------------ fields


def field_to(kind: Kind, destination: str, routing_key: str, arguments: Mapping[str, Any]) -> str:
    """Name the field of a binding in the group of the exchange it starts from."""
    return _field(kind, destination, routing_key, arguments)


def field_from(source: str, routing_key: str, arguments: Mapping[str, Any]) -> str:
    """Name the field of a binding in the group of the queue or exchange it leads to."""
    return _field("from", source, routing_key, arguments)


def bindings_to(values: Iterable[str]) -> list[BoundTo]:
    """Give the bindings that start from the exchange of a group with these fields."""
    return [
        BoundTo(*parts)
        for parts in map(_parts, values)
        if parts and parts[0] in {"queue", "exchange"} and len(parts) == len(BoundTo._fields)
    ]


def bindings_from(values: Iterable[str]) -> list[BoundFrom]:
    """Give the bindings that lead to the queue or exchange of a group with these fields."""
    return [BoundFrom(*parts[1:]) for parts in map(_parts, values) if parts and parts[0] == "from"]


def is_source(values: Mapping[str, str]) -> bool:
    """Tell whether any binding starts from the exchange of this group."""
    return any(name.startswith(('["queue"', '["exchange"')) for name in values)


def consumer_field(owner: str, tag: str) -> str:
    """Name the field of a consumer in the group of its queue's consumers."""
    return _field(owner, tag)


def write_consumer(consumer: ConsumerEntry) -> str:
    """Write what is stored of a consumer."""
    return tables.encode_canonical(
        {"exclusive": consumer.exclusive, "priority": consumer.priority, "order": consumer.order}
    )


def consumers(values: Mapping[str, str]) -> list[ConsumerEntry]:
    """Give the consumers in this group."""
    return [_parse_consumer(name, text) for name, text in values.items()]


@lru_cache(maxsize=1024)
def _parse_consumer(name: str, text: str) -> ConsumerEntry:
    try:
        return ConsumerEntry(*json.loads(name), **json.loads(text))
    except (ValueError, TypeError) as error:
        raise _corrupt("consumer", f"{name}: {text}") from error


def held_consumer_field(queue: str, tag: str) -> str:
    """Name the field of a consumer in the group of its owner."""
    return _field("consumer", queue, tag)


def held_queue_field(queue: str) -> str:
    """Name the field of an exclusive queue in the group of its owner."""
    return _field("queue", queue)


def held_consumers(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Give queue and tag of every consumer of the owner of this group."""
    return [(parts[1], parts[2]) for parts in map(_parts, values) if parts and parts[0] == "consumer"]


def held_queues(values: Mapping[str, str]) -> list[str]:
    """Give the exclusive queues of the owner of this group."""
    return [parts[1] for parts in map(_parts, values) if parts and parts[0] == "queue"]


def _field(*parts: Any) -> str:
    return tables.encode_canonical(parts)


def _parts(name: str) -> list[Any]:
    """Take a field's name apart; the definition's has no parts."""
    if name == DEFINITION:
        return []
    try:
        parts = tables.decode(name)
    except ValueError as error:
        raise _corrupt("field", name) from error
    if not isinstance(parts, list):
        raise _corrupt("field", name)
    return parts


def _corrupt(what: str, text: str) -> Exception:
    return errors.make(
        errors.StorageCorrupt,
        f"the catalogue holds a {what} that this version of dulse does not understand: {text[:200]!r}",
    )
