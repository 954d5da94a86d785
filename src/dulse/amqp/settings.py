"""What a peer brings into the handshake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dulse.amqp.frames import LARGEST_MAXIMUM, SMALLEST_MAXIMUM
from dulse.amqp.sasl import Mechanism, Plain

CAPABILITIES = {
    "publisher_confirms": True,
    "basic.nack": True,
    "exchange_exchange_bindings": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}
"""RabbitMQ's extensions that the engine speaks; the broker uses some only if it is told."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Wishes and limits; where the peers differ the smaller number wins, and 0 is no wish."""

    mechanisms: Sequence[Mechanism] = (Plain("guest", "guest"),)
    """A client's ways to log in, the best first."""
    check: Callable[[str, bytes], bool] = field(default=lambda _mechanism, _response: False)
    """A server's decision on (mechanism, response)."""
    virtual_host: str = "/"
    channel_max: int = 2047
    frame_max: int = LARGEST_MAXIMUM
    heartbeat: int = 60
    """Seconds; two without a sign of life end the connection."""
    message_max: int = 128 * 1024 * 1024
    """Bytes of body that are taken."""
    properties: Mapping[str, Any] = field(default_factory=lambda: {"product": "dulse", "capabilities": CAPABILITIES})


def agreed(ours: int, theirs: int) -> int:
    """Give the smaller wish; 0 is none (AMQP 0-9-1 §1.4.2.6)."""
    return min(ours, theirs) if ours and theirs else ours or theirs


def frame_maximum(ours: int, theirs: int) -> int:
    """Give the frame maximum: never over ours, never under what every peer must take."""
    return max(SMALLEST_MAXIMUM, agreed(ours or LARGEST_MAXIMUM, theirs))
