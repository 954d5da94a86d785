"""Dead letters: what becomes of a message that a queue gives up, told in headers as RabbitMQ tells it.

`x-death` is a list of tables, the newest death first, one for each pair of queue and reason: count, reason, queue,
time (of the first such death), exchange and routing-keys it had been published with, original-expiration.
`x-first-death-*` and `x-last-death-*` repeat reason, queue and exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any, Literal

from dulse.broker.rules import QueueRules
from dulse.model.message import Record
from dulse.model.records import Leased, Target

Reason = Literal["rejected", "expired", "maxlen", "delivery_limit"]
"""Rejected without requeue; outlived its time; pushed out of or refused by a full queue; returned too often."""

_Death = dict[str, Any]


def objection(leased: Leased, rules: QueueRules | None, idle: float = 0.0) -> Reason | None:
    """Say why a record that was taken must be handed to nobody; a time to live of 0 is kept by who was idle so long."""
    if leased.ttl_ms is not None and leased.age_ms >= (leased.ttl_ms or idle * 1000):
        return "expired"
    if rules is not None and rules.exhausted(leased.deliveries):
        return "delivery_limit"
    return None


def dead_letter(record: Record, queue: str, rules: QueueRules, reason: Reason, now_ms: int) -> Record | None:
    """Give the record to publish instead of one that `queue` gives up; None: the queue has no dead letter exchange.

    Publish it to its `exchange` with its `routing_key`, by `resolve` with its headers; drop it if that exchange does
    not exist, and leave out what `is_cycle` names. The record given stays as it is. `now_ms`: milliseconds since 1970.
    """
    if rules.dead_letter_exchange is None:
        return None
    headers = dict(record.properties.get("headers") or {})
    _note_death(headers, record, queue, reason, now_ms)
    routing_key = record.routing_key
    if rules.dead_letter_routing_key is not None:
        routing_key = rules.dead_letter_routing_key
        headers.pop("CC", None)
    headers.pop("BCC", None)
    delay = headers.get("x-delay")
    if isinstance(delay, int | float) and delay > 0:
        headers["x-delay"] = -delay  # it was waited for; as RabbitMQ's plug-in for delays has it
    properties = {name: value for name, value in record.properties.items() if name != "expiration"}
    properties["headers"] = headers
    return Record(rules.dead_letter_exchange, routing_key, properties, record.body)


def briefly(record: Record) -> Record:
    """Give a dead letter that tells of its deaths no more than reason, queue and count, and so takes less room.

    These stay, for they are what `is_cycle` needs.
    """
    headers = dict(record.properties.get("headers") or {})
    kept = ("count", "reason", "queue")
    headers["x-death"] = [{name: death[name] for name in kept if name in death} for death in _deaths(headers)]
    for when, name in product(("first", "last"), ("reason", "queue", "exchange")):
        headers.pop(f"x-{when}-death-{name}", None)
    return record._replace(properties={**record.properties, "headers": headers})


def is_cycle(record: Record, queue: str) -> bool:
    """Tell whether a dead letter comes back to a queue in which it died, and nobody has rejected it since.

    Such a message would go in circles for ever without any consumer's doing; it is dropped instead.
    """
    for death in _deaths(record.properties.get("headers") or {}):
        if death.get("reason") == "rejected":
            return False
        if death.get("queue") == queue:
            return True
    return False


def without_cycles(record: Record, targets: Iterable[Target]) -> tuple[Target, ...]:
    """Give the targets of a dead letter that would not send it in circles."""
    return tuple(target for target in targets if not is_cycle(record, target.queue))


def _note_death(headers: dict[str, Any], record: Record, queue: str, reason: Reason, now_ms: int) -> None:
    """Write the headers that tell of this death; what they held before is not changed in place."""
    known = _deaths(headers)
    headers["x-death"] = _with_death(known, _death(record, queue, reason, now_ms))
    for name, value in (("reason", reason), ("queue", queue), ("exchange", record.exchange)):
        headers.setdefault(f"x-first-death-{name}", value)
        headers[f"x-last-death-{name}"] = value


def _death(record: Record, queue: str, reason: Reason, now_ms: int) -> _Death:
    copies = (record.properties.get("headers") or {}).get("CC")
    death: _Death = {
        "count": 1,
        "reason": reason,
        "queue": queue,
        "time": datetime.fromtimestamp(now_ms // 1000, UTC),
        "exchange": record.exchange,
        "routing-keys": [record.routing_key, *(copies if isinstance(copies, list | tuple) else ())],
    }
    expiration = record.properties.get("expiration")
    if expiration is not None:
        death["original-expiration"] = str(expiration)
    return death


def _with_death(known: Sequence[_Death], death: _Death) -> list[_Death]:
    """Put a death first; one of the same queue and reason is counted on and moves there."""
    others: list[_Death] = []
    for earlier in known:
        if (earlier.get("queue"), earlier.get("reason")) == (death["queue"], death["reason"]):
            count = earlier.get("count")
            death = {**earlier, "count": count + 1 if isinstance(count, int) else 1}
        else:
            others.append(earlier)
    return [death, *others]


def _deaths(headers: Mapping[str, Any]) -> list[_Death]:
    """Give the deaths that these headers tell of; what a publisher wrote there himself and is none is left out."""
    written = headers.get("x-death")
    return [death for death in written if isinstance(death, dict)] if isinstance(written, list | tuple) else []
