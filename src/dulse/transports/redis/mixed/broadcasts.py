"""What Kombu says to all who listen at the moment: the channels of its exchanges to all, and the messages in them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

__all__ = ["Broadcast", "channel", "heard", "marked", "pattern"]

_OURS: Final = b'{"dulse":"-",'
_SPECIAL: Final = re.compile(r"([*?\[\]\\^])")


class Broadcast(NamedTuple):
    """A message of a process of Kombu."""

    exchange: str
    mark: str
    """The same for all who hear it."""
    priority: int
    envelope: bytes


def _begin(prefix: str, db: int) -> str:
    return f"{prefix}/{db}."


def pattern(prefix: str, db: int) -> str:
    """Give what to subscribe to (PSUBSCRIBE), by which the exchanges of all names are heard."""
    return _SPECIAL.sub(r"\\\1", _begin(prefix, db)) + "*"


def channel(prefix: str, db: int, exchange: str, routing_key: str) -> str:
    """Name the channel of a message, as Kombu has it by default (`fanout_prefix`, `fanout_patterns`)."""
    name = _begin(prefix, db) + exchange
    return f"{name}/{routing_key}" if routing_key else name


def marked(envelope: bytes) -> bytes:
    """Give a message for Kombu's processes that ours do not take in."""
    return _OURS + envelope[1:]


def heard(push: Sequence[Any], prefix: str, db: int) -> Broadcast | None:
    """Read a push; None: it is no such message, or one of ours."""
    begin = _begin(prefix, db).encode()
    if push[0] != b"pmessage" or not push[2].startswith(begin) or push[3].startswith(_OURS):
        return None
    exchange = push[2][len(begin) :].partition(b"/")[0].decode("utf-8", "replace")
    data = bytes(push[3])
    try:
        properties = json.loads(data)["properties"]
        priority, tag = int(properties.get("priority") or 0), properties.get("delivery_tag")
    except (ValueError, TypeError, KeyError, AttributeError):
        priority, tag = 0, None
    mark = tag if isinstance(tag, str) and tag else hashlib.sha256(data).hexdigest()
    return Broadcast(exchange, mark, priority, data)
