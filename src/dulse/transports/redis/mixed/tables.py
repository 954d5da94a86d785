"""Kombu's tables of bindings beside ours: what is in one and not in the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from dulse.broker.catalogue import DEFINITION, queue_group
from dulse.broker.definitions import (
    PRESENT,
    QueueDefinition,
    bindings_to,
    field_from,
    field_to,
    read_exchange,
    write_queue,
)
from dulse.model.records import Group, Revision
from dulse.transports.redis.names import SEPARATOR

__all__ = [
    "Abandoned",
    "Import",
    "abandoned",
    "bound_queues",
    "imports",
    "is_followed",
    "matching",
    "members_of",
    "speaks_to_all",
]

_THEIRS: Final = "kombu"
"""The value of the field of a binding that was made by a process of Kombu."""

_FOLLOWED: Final = frozenset({"direct", "topic"})

Member = tuple[str, str, str]
"""Routing key, pattern and queue."""


class Import(NamedTuple):
    """A change of our catalogue that follows one of Kombu's."""

    expect: Mapping[str, Revision]
    writes: Mapping[tuple[str, str], str | None]


class Abandoned(NamedTuple):
    """What a process of Kombu held: the envelope, where it had been published, and its priority."""

    envelope: bytes
    exchange: str
    routing_key: str
    priority: int


def members_of(reply: Iterable[bytes]) -> list[Member]:
    """Read a table; members that are not like Kombu's are left out."""
    found = [each.decode("utf-8", "replace").split(SEPARATOR) for each in reply]
    return [(key, pattern, queue) for key, pattern, queue in (each for each in found if len(each) == 3) if queue]  # noqa: PLR2004


def is_followed(exchange: str, values: Mapping[str, str]) -> bool:
    """Tell whether Kombu's bindings of an exchange are to be followed: by direct and topic ones Kombu fills lists."""
    definition = read_exchange(exchange, values)
    return definition is not None and definition.type in _FOLLOWED


def speaks_to_all(exchange: str, values: Mapping[str, str]) -> bool:
    """Tell whether Kombu publishes to an exchange by PUBLISH, for those who listen at the moment."""
    definition = read_exchange(exchange, values)
    return definition is not None and definition.type == "fanout"


def bound_queues(values: Mapping[str, str]) -> list[str]:
    """Give the queues that are bound to the exchange of a group."""
    return sorted({each.destination for each in bindings_to(values) if each.kind == "queue"})


def imports(
    exchange: str, group: Group, members: Iterable[Member], queues: Mapping[str, Group]
) -> tuple[list[Import], set[str]]:
    """Give the changes by which our bindings follow; and the queues to be read first, if any are missing."""
    name = f"x/{exchange}"
    theirs = {(key, queue) for key, _, queue in members}
    ours = {(each.routing_key, each.destination) for each in bindings_to(group.values) if each.kind == "queue"}
    marked = {
        (each.routing_key, each.destination)
        for field, value in group.values.items()
        if value == _THEIRS
        for each in bindings_to([field])
    }
    new, gone = theirs - ours, marked - theirs
    lacking = {queue for _, queue in new | gone if queue_group(queue) not in queues}
    if lacking:
        return [], lacking
    writes: dict[tuple[str, str], str | None] = {}
    expect: dict[str, Revision] = {name: group.revision}
    for pairs, value in ((new, _THEIRS), (gone, None)):
        for key, queue in pairs:
            end = queue_group(queue)
            known = queues[end]
            expect[end] = known.revision
            writes[name, field_to("queue", queue, key, {})] = value
            if value is not None and DEFINITION not in known.values:
                writes[end, DEFINITION] = write_queue(QueueDefinition())
            if value is not None or DEFINITION in known.values:
                writes[end, field_from(exchange, key, {})] = None if value is None else PRESENT
    return ([Import(expect, writes)] if writes else []), set()


def matching(routing_key: str, members: Iterable[Member]) -> list[str]:
    """Give the queues that Kombu would put a message into."""
    found = {
        queue
        for key, pattern, queue in members
        if (re.match(pattern, routing_key) is not None if pattern else key == routing_key)
    }
    return sorted(found)


def abandoned(record: bytes) -> Abandoned | None:
    """Read a record of what a process of Kombu held; None: it is not like Kombu's."""
    try:
        found: Any = json.loads(record)
        message, exchange, routing_key = found
        message["headers"]["redelivered"] = True
        message["properties"]["delivery_info"]["redelivered"] = True
        priority = message["properties"].get("priority") or 0
        return Abandoned(json.dumps(message).encode(), str(exchange or ""), str(routing_key or ""), int(priority))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
