"""Targets: what priority, time to live, delay and limits a message gets in each queue of its route."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dulse import errors
from dulse.broker import refusals
from dulse.broker.arguments import HIGHEST_PRIORITY
from dulse.broker.rules import FOREVER_MS, QueueRules
from dulse.model.message import Properties
from dulse.model.records import Target

_METHOD = "Basic.publish"
_WHOLE_NUMBER = re.compile("-?[0-9]{1,20}")


def plain_target(queue: str, rules: QueueRules) -> Target:
    """Give the target of a message that has neither priority nor expiration nor delay."""
    return target_for(queue, rules, 0, None, 0)


def target_for(queue: str, rules: QueueRules, priority: int, expiration_ms: int | None, delay_ms: int) -> Target:
    """Give the target of a message in one queue: the shorter time to live, the priority as far as the queue has it."""
    ttl_ms = rules.message_ttl_ms
    if expiration_ms is not None and (ttl_ms is None or expiration_ms < ttl_ms):
        ttl_ms = expiration_ms
    kept_priority = min(priority, rules.max_priority) if rules.max_priority is not None else 0
    return Target(
        queue, kept_priority, ttl_ms, delay_ms, rules.max_length, rules.max_length_bytes, refuse=rules.refuses
    )


def needs_targets(properties: Properties, delay_ms: int = 0) -> bool:
    """Tell whether a message needs `targets_for`, or has those that its route was made with."""
    if delay_ms or properties.get("priority") or properties.get("expiration") is not None:
        return True
    headers = properties.get("headers")
    return headers is not None and "x-delay" in headers


def targets_for(
    queues: Iterable[tuple[str, QueueRules]], properties: Properties, delay_ms: int = 0
) -> tuple[Target, ...]:
    """Give the targets of a message with these properties in the queues of its route.

    A delay given here counts before the header `x-delay` (milliseconds). A priority or delay that cannot be raises
    InvalidArgument, an expiration that is no number of milliseconds PreconditionFailed (406), as with RabbitMQ.
    """
    priority = priority_of(properties)
    expiration_ms = expiration_of(properties)
    delay_ms = delay_of(properties, delay_ms)
    return tuple(target_for(queue, rules, priority, expiration_ms, delay_ms) for queue, rules in queues)


def priority_of(properties: Properties) -> int:
    """Give the priority of a message, 0 where it has none."""
    priority = properties.get("priority")
    if priority is None:
        return 0
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= HIGHEST_PRIORITY:
        text = f"the priority {priority!r} is not an integer between 0 and {HIGHEST_PRIORITY}"
        raise errors.make(errors.InvalidArgument, text)
    return priority


def expiration_of(properties: Properties) -> int | None:
    """Give the milliseconds after which a message expires; None: never."""
    expiration = properties.get("expiration")
    if expiration is None:
        return None
    milliseconds = _whole(expiration)
    if milliseconds is None or milliseconds < 0:
        text = f"invalid expiration {expiration!r}: give the milliseconds to live as a whole number, 0 or more"
        raise refusals.precondition_failed(text, _METHOD)
    return min(milliseconds, FOREVER_MS)


def delay_of(properties: Properties, delay_ms: int = 0) -> int:
    """Give the milliseconds after which a message may be delivered; a header `x-delay` of 0 or less means at once."""
    if delay_ms < 0:
        text = f"the delay of {delay_ms} ms is negative: leave it out to deliver at once"
        raise errors.make(errors.InvalidArgument, text)
    if delay_ms:
        return min(delay_ms, FOREVER_MS)
    headers = properties.get("headers")
    asked = headers.get("x-delay") if headers else None
    if asked is None:
        return 0
    milliseconds = int(asked) if isinstance(asked, float) and asked.is_integer() else _whole(asked)
    if milliseconds is None:
        text = f"the header x-delay is {asked!r}: give the milliseconds to wait as a whole number"
        raise errors.make(errors.InvalidArgument, text)
    return min(max(milliseconds, 0), FOREVER_MS)


def _whole(value: Any) -> int | None:
    """Read an integer or its decimal digits; None: it is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return None
