"""What a transport can do, declared once as data: used by the code, the conformance suite and the documentation."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Capabilities(NamedTuple):
    """The promises of one transport; numbers are limits, None means without limit.

    A use of what is not declared raises NotSupported.
    """

    exchange_types: frozenset[str] = frozenset({"direct", "topic", "fanout", "headers"})
    objects: bool = False
    """Records are kept as they are, never as bytes (one process)."""
    atomic_put: bool = True
    """One put reaches all its queues or none."""
    atomic_forward: bool = True
    """Moving a record is one step; otherwise put, then settle: a kill in between makes a duplicate, never a loss."""
    guarded_put: bool = True
    """A put on outdated routing is noticed by the store."""
    late_answers: bool = False
    """A put that names its publisher is answered by the next barrier only."""
    exact_limits: bool = True
    """Length limits hold exactly; otherwise they may be exceeded for a moment by competing publishers."""
    priorities: int = 255
    """The highest priority kept apart."""
    max_delay: float | None = None
    """Seconds."""
    delayed_expiration: bool = True
    """A delayed message may have a time to live, which begins when the delay is over."""
    counts_delayed: bool = True
    """How many messages of a queue are delayed is known."""
    max_lease: float | None = None
    """Seconds a handler may hold a message."""
    max_record: int | None = None
    """Bytes of one message with its headers."""
    ordered: bool = True
    """First in, first out within a priority."""
    exact_depth: bool = True
    peek: bool = True
    peek_marks: bool = False
    """Whoever gets a message that was looked at is told that it was delivered before."""
    transactions: bool = False
    """A message may be published inside a transaction of the caller's own, and exists if that is committed."""
    leases: Literal["owner", "record", "process"] = "owner"
    """What is renewed; with "process" a lease ends with the process only."""
    wake: Literal["push", "poll"] = "push"
    """How a waiting consumer learns of a new message."""
    durable: Literal["nothing", "process", "machine"] = "machine"
    """The worst end that what was published survives: of nothing, of every process, of the machine."""
    shared: bool = True
    """Several processes can work on it."""
