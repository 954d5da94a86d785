"""What goes with a queue or an exchange that is deleted: bindings, consumers, and exchanges that delete themselves."""

from __future__ import annotations

from collections.abc import Iterable

from dulse.broker.catalogue import Draft, consumers_group, exchange_group, expiry_group, owner_group, queue_group
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
    draft.require([*map(owner_group, owners), *(exchange_group(binding.source) for binding in sources)])
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
    draft.require([*map(_destination_group, onward), *(exchange_group(binding.source) for binding in sources)])
    draft.clear(group)
    for binding in onward:
        draft.delete(_destination_group(binding), field_from(exchange, binding.routing_key, binding.arguments))
    _detach(draft, "exchange", exchange, sources)


def remove_binding(draft: Draft, source: str, binding: BoundTo) -> None:
    """Take one binding away; the last one from an auto-delete exchange takes that along."""
    removed = draft.delete(exchange_group(source), field_to(*binding))
    draft.delete(_destination_group(binding), field_from(source, binding.routing_key, binding.arguments))
    if removed:
        _remove_if_deserted(draft, source)


def _detach(draft: Draft, kind: Kind, name: str, sources: Iterable[BoundFrom]) -> None:
    """Take the bindings away by which exchanges led to something that is gone."""
    deserted: dict[str, None] = {}
    for source, routing_key, arguments in sources:
        if draft.delete(exchange_group(source), field_to(kind, name, routing_key, arguments)):
            deserted[source] = None
    for source in deserted:
        _remove_if_deserted(draft, source)


def _remove_if_deserted(draft: Draft, exchange: str) -> None:
    values = draft.values(exchange_group(exchange))
    definition = read_exchange(exchange, values)
    if definition is not None and definition.auto_delete and not is_source(values):
        remove_exchange(draft, exchange)


def _destination_group(binding: BoundTo) -> str:
    return (queue_group if binding.kind == "queue" else exchange_group)(binding.destination)
