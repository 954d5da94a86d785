"""Queues and messages in the words of the contract, made of what RabbitMQ tells about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dulse import errors
from dulse.model.commands import QueueDeclared
from dulse.model.inspection import QueueStatus, WaitingMessage
from dulse.model.message import Delivery, Properties
from dulse.transports.amqp.management_records import Item, table

_NOT_MOVED = frozenset({"CC", "x-delay", "x-delivery-count"})
"""Headers that send a message to more queues or later, or that the broker itself counts."""

_LIMIT_IN_BYTES = "queue {name!r} drops its oldest messages at {most} bytes, so that nothing is moved to it: set {cure}"
_CURE = "its overflow to reject-publish"


def status(item: Item) -> QueueStatus:
    """Read a queue as the management API tells of it; without statistics, ready and consumers are 0."""
    return QueueStatus(
        _text(item, "name"),
        ready=item.get("messages_ready", 0),
        leased=item.get("messages_unacknowledged"),
        delayed=None,
        size=item.get("message_bytes_ready"),
        consumers=item.get("consumers", 0),
        durable=item["durable"],
        exclusive=item.get("exclusive"),
        auto_delete=item["auto_delete"],
        arguments=table(item, "arguments"),
    )


def counted(name: str, counts: QueueDeclared) -> QueueStatus:
    """Say what a passive declare tells; all else is unknown."""
    return QueueStatus(
        name,
        ready=counts.message_count,
        leased=None,
        delayed=None,
        size=None,
        consumers=counts.consumer_count,
        durable=None,
        exclusive=None,
        auto_delete=None,
        arguments={},
    )


def waiting(delivery: Delivery) -> WaitingMessage:
    """Describe a message that was got to look at; RabbitMQ does not tell since when it has been there."""
    properties = delivery.properties
    headers = properties.get("headers") or {}
    count = headers.get("x-delivery-count", 0)
    expiration = properties.get("expiration")
    return WaitingMessage(
        delivery.exchange,
        delivery.routing_key,
        properties,
        delivery.body,
        deliveries=max(count if isinstance(count, int) else 0, int(delivery.redelivered)),
        age=None,
        time_to_live=int(expiration) / 1000 if expiration and expiration.isdecimal() else None,
    )


def movable(properties: Properties) -> Properties:
    """Give the properties that a message is to be published with again."""
    headers = properties.get("headers")
    if not headers or _NOT_MOVED.isdisjoint(headers):
        return properties
    return {**properties, "headers": {name: value for name, value in headers.items() if name not in _NOT_MOVED}}


def dropping_limit(item: Item) -> int | None:
    """Give the length at which a queue drops its oldest messages; None: it rejects new ones, or has no limit.

    Raises NotSupported for a limit of bytes, since how many there are at this moment is not told.
    """
    if item.get("type") == "stream":  # its limits are about age and disk, and never reached by a message
        return None
    rules = {**table(item, "effective_policy_definition"), **_own_rules(table(item, "arguments"))}
    if rules.get("overflow", "drop-head") != "drop-head":
        return None
    if "max-length-bytes" in rules:
        text = _LIMIT_IN_BYTES.format(name=item["name"], most=rules["max-length-bytes"], cure=_CURE)
        raise errors.make(errors.NotSupported, text)
    most = rules.get("max-length")
    return most if isinstance(most, int) else None


def full(name: str) -> Exception:
    """Build the error for a queue without room."""
    text = f"queue {name!r} is full, so that nothing was moved to it: make room, or raise its limit"
    return errors.make(errors.Refused, text)


def _own_rules(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("x-"): value for name, value in arguments.items()}


def _text(item: Item, name: str) -> str:
    value = item[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value
