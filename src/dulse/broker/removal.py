"""What goes with a queue or an exchange that is deleted: bindings, consumers, and exchanges that delete themselves."""

from __future__ import annotations

from collections.abc import Iterable

from dulse.broker.catalogue import (
    DEFINED,
    Draft,
    consumers_group,
    exchange_group,
    expiry_group,
    owner_group,
    queue_group,
)
from dulse.broker.definitions import (
    BoundFrom,
    BoundTo,
    Kind,
    bindings_from,
    bindings_to,
    consumers,
    field_from,
    field_to,
    held_consumer_field,
    held_queue_field,
    is_source,
    read_exchange,
    read_queue,
)


def remove_queue(draft: Draft, queue: str) -> None:
    """Delete a queue with its records, consumers and bindings."""
    groups = (queue_group(queue), consumers_group(queue), expiry_group(queue))
    draft.require(groups)
    values = draft.values(groups[0])
    definition = read_queue(values)
    ended = consumers(draft.values(groups[1]))
    sources = bindings_from(values)
    owners = {consumer.owner for consumer in ended}
    if definition is not None and definition.exclusive:
        owners.add(definition.owner)
    draft.require(map(owner_group, owners), _ends_at(sources, "queue", queue))
    for consumer in ended:
        draft.delete(owner_group(consumer.owner), held_consumer_field(queue, consumer.tag))
    for owner in owners:
        draft.delete(owner_group(owner), held_queue_field(queue))
    for group in groups:
        draft.clear(group)
    draft.drop(queue)
    _detach(draft, "queue", queue, sources)


def remove_exchange(draft: Draft, exchange: str) -> None:
    """Delete an exchange and the bindings from and to it."""
    group = exchange_group(exchange)
    values = draft.values(group)
    onward, sources = bindings_to(values), bindings_from(values)
    draft.require(map(destination_group, onward), _ends_at(sources, "exchange", exchange))
    draft.clear(group)
    for binding in onward:
        draft.delete(destination_group(binding), field_from(exchange, binding.routing_key, binding.arguments))
    _detach(draft, "exchange", exchange, sources)


def remove_binding(draft: Draft, source: str, binding: BoundTo) -> None:
    """Take one binding away; the last one from an auto-delete exchange takes that along."""
    removed = draft.delete(exchange_group(source), field_to(*binding))
    draft.delete(destination_group(binding), field_from(source, binding.routing_key, binding.arguments))
    if removed:
        _remove_if_deserted(draft, source)


def _ends_at(sources: Iterable[BoundFrom], kind: Kind, name: str) -> dict[str, frozenset[str]]:
    """Name what counts of the exchanges that lead here, whatever else they lead to."""
    parts: dict[str, set[str]] = {}
    for source, routing_key, arguments in sources:
        field = field_to(kind, name, routing_key, arguments)
        parts.setdefault(exchange_group(source), set(DEFINED)).add(field)
    return {group: frozenset(fields) for group, fields in parts.items()}


def _detach(draft: Draft, kind: Kind, name: str, sources: Iterable[BoundFrom]) -> None:
    """Take the bindings away by which exchanges led to something that is gone."""
    deserted: dict[str, None] = {}
    for source, routing_key, arguments in sources:
        if draft.delete(exchange_group(source), field_to(kind, name, routing_key, arguments)):
            deserted[source] = None
    for source in deserted:
        _remove_if_deserted(draft, source)


def _remove_if_deserted(draft: Draft, exchange: str) -> None:
    group = exchange_group(exchange)
    definition = read_exchange(exchange, draft.view.part(group).values)
    if definition is not None and definition.auto_delete and not is_source(draft.values(group)):
        remove_exchange(draft, exchange)


def destination_group(binding: BoundTo) -> str:
    """Name the group of the queue or exchange that a binding leads to."""
    return (queue_group if binding.kind == "queue" else exchange_group)(binding.destination)
