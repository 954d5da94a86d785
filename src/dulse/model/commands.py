"""Changes of topology as frozen data: what an entity asks of a broker, made at the moment of the call.

A transport executes a command and answers with the reply named beside it; entities stay free of I/O.
Field names and defaults follow AMQP 0-9-1 §3.1.3 (exchange) and §3.1.4 (queue).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

Arguments = Mapping[str, Any]

NO_ARGUMENTS: Arguments = MappingProxyType({})


class QueueDeclared(NamedTuple):
    """The reply to `DeclareQueue`: the name (given by the broker where none was asked for) and two counts."""

    queue: str
    message_count: int
    consumer_count: int


class DeclareExchange(NamedTuple):
    """Make an exchange, or check that it is there with these very properties. Reply: None."""

    exchange: str
    type: str = "direct"
    durable: bool = True
    auto_delete: bool = False
    internal: bool = False
    passive: bool = False
    arguments: Arguments = NO_ARGUMENTS


class DeleteExchange(NamedTuple):
    """Delete an exchange and its bindings; a missing one is no error. Reply: None."""

    exchange: str
    if_unused: bool = False


class BindExchange(NamedTuple):
    """Route what reaches `source` on to `destination` as well. Reply: None."""

    destination: str
    source: str
    routing_key: str = ""
    arguments: Arguments = NO_ARGUMENTS


class UnbindExchange(NamedTuple):
    """Take such a binding away; a missing one is no error. Reply: None."""

    destination: str
    source: str
    routing_key: str = ""
    arguments: Arguments = NO_ARGUMENTS


class DeclareQueue(NamedTuple):
    """Make a queue, or check that it is there with these very properties. Reply: `QueueDeclared`."""

    queue: str = ""
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    passive: bool = False
    arguments: Arguments = NO_ARGUMENTS


class DeleteQueue(NamedTuple):
    """Delete a queue with all it holds; a missing one is no error. Reply: the number of messages deleted."""

    queue: str
    if_unused: bool = False
    if_empty: bool = False


class BindQueue(NamedTuple):
    """Route what reaches `exchange` and matches into `queue`. Reply: None."""

    queue: str
    exchange: str
    routing_key: str = ""
    arguments: Arguments = NO_ARGUMENTS


class UnbindQueue(NamedTuple):
    """Take such a binding away; a missing one is no error. Reply: None."""

    queue: str
    exchange: str
    routing_key: str = ""
    arguments: Arguments = NO_ARGUMENTS


class PurgeQueue(NamedTuple):
    """Delete the ready messages of a queue. Reply: their number."""

    queue: str


Command = (
    DeclareExchange
    | DeleteExchange
    | BindExchange
    | UnbindExchange
    | DeclareQueue
    | DeleteQueue
    | BindQueue
    | UnbindQueue
    | PurgeQueue
)
