"""What is seen of a broker from outside: its queues, and the messages that wait in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dulse.model.message import Properties


class QueueStatus(NamedTuple):
    """A queue as it was declared, and how much it holds at the moment; None: the broker does not tell."""

    name: str
    ready: int
    """Messages that would be delivered next."""
    leased: int | None
    """Messages that were delivered, or reserved for it, and are not settled."""
    delayed: int | None
    """Messages whose time has not come."""
    size: int | None
    """Bytes of the ready messages."""
    consumers: int
    durable: bool | None
    exclusive: bool | None
    auto_delete: bool | None
    arguments: Mapping[str, Any]
    """Empty where `durable` is None, and they are unknown as well."""


class WaitingMessage(NamedTuple):
    """A ready message that was looked at and not taken."""

    exchange: str
    routing_key: str
    properties: Properties
    body: bytes
    deliveries: int
    """How often it has been delivered so far."""
    age: float | None
    """Seconds that it has been in this queue; None: the broker does not tell."""
    time_to_live: float | None
    """Seconds that it may be in this queue; None: for ever."""
