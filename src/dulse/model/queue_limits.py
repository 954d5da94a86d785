"""The limits of a queue that have a name of their own, and the x- arguments by which brokers know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dulse import errors
from dulse.model.milliseconds import milliseconds
from dulse.model.mistakes import table

HIGHEST_PRIORITY = 255
_LARGEST = 2**63 - 1

Limit = tuple[str, Callable[[str, Any], Any]]


def _count(subject: str, value: Any, largest: int = _LARGEST) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        text = f"{subject} must be a whole number from 0 to {largest}, not {value!r}"
        raise errors.make(errors.InvalidArgument, text)
    return value


def _priority(subject: str, value: Any) -> int:
    return _count(subject, value, HIGHEST_PRIORITY)


def _expiry(subject: str, value: Any) -> int:
    return milliseconds(subject, value, minimum=1)


LIMITS: Mapping[str, Limit] = {
    "expires": ("x-expires", _expiry),
    "message_ttl": ("x-message-ttl", milliseconds),
    "max_length": ("x-max-length", _count),
    "max_length_bytes": ("x-max-length-bytes", _count),
    "max_priority": ("x-max-priority", _priority),
}
"""Attribute of a queue to the argument it becomes, and what checks and converts the value (seconds to milliseconds)."""


def number(value: Any) -> Any:
    """Read a number from the text of a configuration; what is none is left for `queue_arguments` to refuse."""
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def queue_arguments(
    arguments: Mapping[str, Any] | None, limits: Mapping[str, Any], subject: str = "a queue's"
) -> dict[str, Any]:
    """Join arguments and limits given by name; a named limit wins. InvalidArgument, beginning with `subject`."""
    joined = table(f"{subject} arguments", arguments)
    for name, value in limits.items():
        if value is not None:
            argument, convert = LIMITS[name]
            joined[argument] = convert(f"{subject} {name}", value)
    return joined
