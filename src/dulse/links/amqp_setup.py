"""What both AMQP links are told: where to connect and how, what to keep in flight, when to give up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dulse.amqp.settings import Settings
from dulse.links.addresses import Place
from dulse.links.tls import Tls
from dulse.model.not_taken import OnUnconfirmed
from dulse.policy.retry import RetryPolicy


def is_rabbitmq_4(peer_properties: Mapping[str, object]) -> bool:
    """Tell by what a broker says of itself whether it is RabbitMQ from version 4 on."""
    version = str(peer_properties.get("version", "")).partition(".")[0]
    return peer_properties.get("product") == "RabbitMQ" and version.isdigit() and int(version) >= 4  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Destination:
    """One broker: where it listens, and how to be let in."""

    place: Place
    settings: Settings
    tls: Tls | None = None
    """None: plain."""
    socket_settings: Mapping[int, int] = field(default_factory=dict)
    """Options of TCP, by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSetup:
    """All that a link needs to know; times are seconds, sizes bytes."""

    destinations: Sequence[Destination]
    """Tried in a circle after a loss."""
    own: int = 1
    """How many of them, from the first on, `open` tries; the others belong to who makes several links."""
    timeout: float = 30.0
    """What a call may take that names no timeout of its own."""
    write_timeout: float | None = None
    """The same for a publish; None: `timeout`."""
    connect_timeout: float = 5.0
    """What one attempt to connect may take when a lost link is replaced."""
    confirms: bool = True
    waits_for_confirms: bool = False
    """Each publish waits until the broker has confirmed it."""
    window_messages: int = 1000
    window_bytes: int = 8 * 1024 * 1024
    blocked_timeout: float = 60.0
    """How long a publish waits while the broker takes no messages."""
    reconnect_timeout: float | None = 60.0
    """How long a lost link is tried to be replaced; None: for ever, 0: not at all."""
    retry: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(interval_start=0.05, interval_step=0.1, interval_max=1.0, jitter=0.5)
    )
    """The waits between two rounds over all destinations."""
    on_unconfirmed: OnUnconfirmed | None = None
    on_blocked: Callable[[str], Any] | None = None
    """Called with the reason when the broker takes no messages any more; on whichever thread learns of it."""
    on_unblocked: Callable[[], Any] | None = None
    on_reconnected: Callable[[], Any] | None = None
    """Called when a lost link has been replaced."""
