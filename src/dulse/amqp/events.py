"""What the engine reports of what came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dulse.amqp.delivery import Content, Delivery
from dulse.amqp.expected import Expected
from dulse.amqp.method import Method


@dataclass(slots=True)
class Opened:
    """The connection is open (channel 0), or, for a server, the client opened a channel."""

    channel: int


@dataclass(slots=True)
class Arrived:
    """A whole message that was returned to a client, or published to a server."""

    channel: int
    content: Content


@dataclass(slots=True)
class Told:
    """A method that needs no answer, or has been answered: confirms, blocked, flow, the broker's cancel."""

    channel: int
    method: Method


@dataclass(slots=True)
class Called:
    """For a server: the client waits for `Engine.reply`."""

    channel: int
    method: Method


@dataclass(slots=True)
class Replied:
    """What `Engine.call` gave is complete."""

    channel: int
    expected: Expected


@dataclass(slots=True)
class Ended:
    """A channel, or the connection (channel 0), was closed; `error` is None if we had asked for it."""

    channel: int
    error: Exception | None


Event: TypeAlias = Delivery | Opened | Arrived | Told | Called | Replied | Ended
"""A Delivery, a message for one of the consumers, is an event itself."""
