"""What passes between a broker's decisions and the store that carries them out: plain numbers and names.

The meaning of each is in the contract, `dulse.virtual.storage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Payload = Any
"""`bytes`, or with `capabilities.objects` any object that nobody changes any more."""

Token = Any
"""Opaque, hashable, never used twice in the life of a store; it names the record and this taking of it."""

Revision = Any
"""Opaque, compared for equality only; 0 is the revision of a group that does not exist."""


Parts = Mapping[str, frozenset[str]]
"""Fields by group: what is wanted of groups of which the rest does not count."""


class Target(NamedTuple):
    """One queue that a record goes into, with the numbers that the broker decided for it."""

    queue: str
    priority: int = 0
    ttl_ms: int | None = None
    delay_ms: int = 0
    max_count: int | None = None
    max_bytes: int | None = None
    refuse: bool = False
    """At a limit: True writes nothing into this queue, False writes and reports by how much it is over."""


class Put(NamedTuple):
    """A record and everywhere it goes."""

    payload: Payload
    targets: Sequence[Target]
    size: int = 0
    """Bytes of the body, which alone count towards a limit in bytes, as with RabbitMQ."""

    def unlimited(self) -> Put:
        """Give the same for queues whose limits count for nothing."""
        return self._replace(targets=[target._replace(max_count=None, max_bytes=None) for target in self.targets])


class Guard(NamedTuple):
    """A group that must still have this revision."""

    group: str
    revision: Revision


class Problem(NamedTuple):
    """What a put answers about a queue at its limit."""

    put: int
    """Index of the put in the call."""
    queue: str
    excess_count: int
    """Stored, and the queue now holds this many ready records too many; -1: refused, not stored."""
    excess_bytes: int = 0


class Leased(NamedTuple):
    """A record that was taken and is still remembered by the store."""

    token: Token
    queue: str
    payload: Payload
    deliveries: int
    """How often it has been taken, this time included."""
    age_ms: int
    """Since it was put into this queue (a delayed record: since it became ready)."""
    ttl_ms: int | None


class Peeked(NamedTuple):
    """A ready record that was looked at and not taken."""

    payload: Payload
    deliveries: int
    age_ms: int
    ttl_ms: int | None


class Depth(NamedTuple):
    """How much a queue holds."""

    ready: int
    leased: int
    delayed: int
    size: int
    """Of the ready records, added up: what each put said."""


class Group(NamedTuple):
    """A group of the catalogue as it was read."""

    revision: Revision
    age_ms: int
    """Since it was last written."""
    values: Mapping[str, str]


class Swept(NamedTuple):
    """What `sweep` found."""

    promoted: Sequence[str]
    """Queues that got delayed records which had become due."""
    expired: Sequence[str]
    """Queues that may have ready records older than their ttl_ms."""
    next_due: float | None
    """Seconds until there will be something of either kind; None: nothing is waiting."""
