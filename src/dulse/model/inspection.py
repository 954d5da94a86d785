"""What is seen of a broker from outside: its queues, and the messages that wait in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dulse.model.message import Properties


class QueueStatus(NamedTuple):
    """A queue as it was declared, and how much it holds at the moment."""

    name: str
    ready: int
    """Messages that would be delivered next."""
    leased: int
    """Messages that were delivered, or reserved for it, and are not settled."""
    delayed: int
    """Messages whose time has not come."""
    size: int
    """Bytes of the ready messages."""
    consumers: int
    durable: bool
    exclusive: bool
    auto_delete: bool
    arguments: Mapping[str, Any]


class WaitingMessage(NamedTuple):
    """A ready message that was looked at and not taken."""

    exchange: str
    routing_key: str
    properties: Properties
    body: bytes
    deliveries: int
    """How often it has been delivered so far."""
    age: float
    """Seconds that it has been in this queue."""
    time_to_live: float | None
    """Seconds that it may be in this queue; None: for ever."""
