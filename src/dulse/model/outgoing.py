"""The properties of a message to publish, checked, and with nothing in them that the caller can still change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dulse import errors
from dulse.model.headers import check_headers
from dulse.model.message import Properties
from dulse.model.milliseconds import milliseconds
from dulse.model.names import check_name
from dulse.model.queue_limits import HIGHEST_PRIORITY
from dulse.model.timestamps import whole_second

_CONTAINERS = (dict, list, tuple)

_SHORT = frozenset(
    {
        "app_id",
        "cluster_id",
        "content_encoding",
        "content_type",
        "correlation_id",
        "expiration",
        "message_id",
        "reply_to",
        "type",
        "user_id",
    }
)
"""Properties that are short strings (AMQP 0-9-1 §4.2.5.3)."""

KNOWN = _SHORT | {"delivery_mode", "headers", "priority", "timestamp"}
"""The properties that AMQP has (0-9-1 §1.8.3)."""

OF_TRANSPORTS = frozenset({"DelaySeconds", "MessageDeduplicationId", "MessageGroupId", "message_attributes"})
"""Further ones, which mean something to a transport: SQS. Others carry them along or leave them out."""

_ANY = KNOWN | OF_TRANSPORTS

_SURELY_SHORT = 63


def compose(
    properties: Mapping[str, Any],
    priority: int | None = None,
    content_type: str | None = None,
    content_encoding: str | None = None,
    headers: Mapping[str, Any] | None = None,
) -> Properties:
    """Put properties together, leaving out those that are None.

    `reply_to` may be a queue, and `timestamp` seconds since 1970. Raises InvalidArgument for an unknown name, a
    priority or time out of range and a text over 255 bytes, and EncodeError for a header that no broker can carry.
    """
    if not properties.keys() <= _ANY:
        raise _unknown(properties)
    composed = {name: value for name, value in properties.items() if value is not None}
    if priority is not None:
        composed["priority"] = _checked_priority(priority)
    if content_type is not None:
        composed["content_type"] = content_type
    if content_encoding is not None:
        composed["content_encoding"] = content_encoding
    if headers:
        check_headers(headers)
        composed["headers"] = snapshot(headers)
    reply_to = composed.get("reply_to")
    if reply_to is not None and not isinstance(reply_to, str):
        composed["reply_to"] = getattr(reply_to, "name", reply_to)
    if "timestamp" in composed:
        composed["timestamp"] = whole_second(composed["timestamp"])
    for name, value in composed.items():
        if name in _SHORT and (type(value) is not str or len(value) > _SURELY_SHORT):
            check_name(f"property {name}", value)
    return composed


def write_times(
    properties: dict[str, Any], headers: dict[str, Any], expiration: float | None, delay: float | None
) -> None:
    """Write seconds as the milliseconds that brokers read: a property, and a header."""
    if expiration is not None:
        properties["expiration"] = str(milliseconds("expiration", expiration))
    if delay is not None:
        headers["x-delay"] = milliseconds("delay", delay)


def _unknown(properties: Mapping[str, Any]) -> Exception:
    from difflib import get_close_matches  # only an error needs it

    name = next(name for name in properties if name not in _ANY)
    nearest = get_close_matches(name, _ANY, n=1)
    advice = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(sorted(_ANY))};"
    text = f"a message has no property {name!r}: {advice} What is your own goes into headers"
    return errors.make(errors.InvalidArgument, text)


def snapshot(table: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a table of headers with all that can be changed in it."""
    return {name: _copied(value) if isinstance(value, _CONTAINERS) else value for name, value in table.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return snapshot(value)
    if isinstance(value, list | tuple):
        return [_copied(each) for each in value]
    return value


def _checked_priority(priority: Any) -> int:
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= HIGHEST_PRIORITY:
        text = f"priority must be a whole number from 0 to {HIGHEST_PRIORITY}, not {priority!r}"
        raise errors.make(errors.InvalidArgument, text)
    return priority
