"""The Storage contract: what a foreign store must do to become a broker.

A Storage holds *records* in *queues* and a *catalogue* of small versioned *groups*. It decides nothing: what a
time to live, a limit or a priority means, and where a record goes, is decided in `dulse.broker` and handed over
as plain numbers. Records are opaque.

The blocking form is `Storage`, the asyncio form `AsyncStorage`; they differ in `await` only. Whoever can offer just
the first reaches asyncio through `dulse.virtual.threaded` or, where no call ever waits, `dulse.virtual.immediate`.

*Promises that hold for every method.* Each call is one atomic step: a process killed at any moment has done all of it
or none. Any number of threads may call at once. A failure is one of `dulse.errors`' storage or connection errors,
never the client's own. Times are milliseconds on the store's own clock; ages never come from a client's clock.

*Deadlines.* No call but `wait` waits for other users, beyond the moments for which they hold a lock. Each ends by
`until`, a time of `time.monotonic` that a caller computes once for all the calls it needs, and never later than the
seconds given to `open` (None: these alone). It is tried once however late it is. What could not be done in time raises
StorageBusy and has done nothing; where nobody can tell, a connection error or DeadlineExceeded. The next call works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from dulse.model.capabilities import Capabilities
from dulse.model.records import (
    Depth,
    Group,
    Guard,
    Leased,
    Parts,
    Peeked,
    Problem,
    Put,
    Revision,
    Swept,
    Token,
)

Move = tuple[Token, Sequence[Put]]
"""A taken record, and what is put in its place."""


class StaleTopology(Exception):
    """A guard did not hold: the topology has changed since the route was made. Nothing was written."""


class Storage(Protocol):
    """The contract in its blocking form."""

    @property
    def capabilities(self) -> Capabilities:
        """What this store can do; known before `open`, which may find that `max_record` is less."""
        ...

    def open(self, seconds: float) -> None:
        """Connect; create or check schema and scripts. Every later call answers within `seconds` as well."""
        ...

    def close(self, seconds: float) -> None:
        """Let go of the store. Leases stay (the caller has released them)."""
        ...

    def discard(self) -> None:
        """Forget everything without I/O: called in a forked child, whose parent goes on using the original."""
        ...

    # ------------------------------------------------------------------------------------------- records

    def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        """Write all puts into all their targets in one step, if every guard holds; empty answer: all stored.

        Limits in bytes count the `size` of each put, never the payload's own.

        A put without targets writes nothing but has its guards checked. A guard that fails: with `park` the payloads go
        to that queue, to be routed again by anybody; without, nothing is written and StaleTopology is raised.
        `publisher` names a sequence and this call's number in it: a number that is not the next one writes nothing, so
        sending again is harmless. None as the answer: it comes with the next `barrier`.
        """
        ...

    def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:
        """Wait until every earlier put is decided; gives the last sequence number written and what went wrong."""
        ...

    def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Settle, then take and lease up to so many records of each queue, all in one step.

        Highest priority first, the oldest first within one. Records whose ttl is over come too: the caller sends
        them on. `owner` is registered (and kept for `lease_ms` from now) by the same step whenever something
        is taken, and not otherwise. The second part of the answer: tokens to settle that were no longer the owner's.
        """
        ...

    def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take and lease only ready records that have outlived their ttl_ms; does not count as a delivery.

        `owner` is registered as by `reserve`.
        """
        ...

    def trim(
        self,
        queue: str,
        max_count: int | None,
        max_bytes: int | None,
        owner: str,
        lease_ms: int,
        limit: int = 100,
        *,
        until: float | None = None,
    ) -> Sequence[Leased]:
        """Take and lease, from the head, ready records until the queue is within both limits; () when it is.

        At most `limit` in one call. The head is what `reserve` would give first, bytes are counted as `depth` does,
        and leased records do not count, as for `put`; None is no limit. Two callers never take more than is too much
        together. Does not count as a delivery. `owner` is registered as by `reserve`.
        """
        ...

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Delete taken records for good; gives the tokens that were no longer the owner's."""
        ...

    def release(
        self,
        tokens: Sequence[Token],
        owner: str,
        delay_ms: int = 0,
        *,
        counted: bool = True,
        until: float | None = None,
    ) -> Sequence[Token]:
        """Put taken records back to their old places (after a delay, if given); gives the tokens no longer the owner's.

        `counted=False` takes the delivery back: the record was reserved and never handed to anybody.
        """
        ...

    def forward(
        self,
        token: Token,
        owner: str,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        *,
        until: float | None = None,
    ) -> bool:
        """Settle a taken record and put others in the same step; False: it was no longer the owner's, nothing done.

        StaleTopology: a guard failed, nothing was done. Limits of the targets are not enforced here; the
        next `put` or `sweep` reports them. Called only with the capability `atomic_forward`.
        """
        ...

    def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        """Do for each record what `forward` does, at the price of one; gives the tokens no longer the owner's.

        All in one step where the store can, and else each by itself. StaleTopology: a guard failed, and nothing was
        done, or, where each goes by itself, not all: those that were are no longer the owner's.
        """
        ...

    # -------------------------------------------------------------------------------------------- owners

    def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Keep an owner and all it holds for `lease_ms` from now; False: it had been declared dead (and is new now).

        Also False if a take has registered it anew since then: what it held before is lost all the same.
        """
        ...

    def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Name by their tokens all that an owner holds, for one that was cut short; () if nobody can tell."""
        ...

    def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        """Owners past their time, with the seconds since then; and those until the next one falls due (None: none)."""
        ...

    def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        """Give back up to `limit` records of an owner that is (still) past its time, or `force`; True: call again.

        Until it was called often enough the owner is past its time; then it is unknown.
        """
        ...

    # ----------------------------------------------------------------------------------------------- time

    def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Make delayed records ready whose time has come; tell where records have outlived their ttl_ms."""
        ...

    def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues may have got a ready record since this caller's last `reserve` of it.

        Takes nothing. Gives the queues that may have changed, () when the time is over, None when anything may
        have changed.
        """
        ...

    def wake(self) -> None:
        """End all running `wait`s of this Storage object, from any thread or signal handler."""
        ...

    # ----------------------------------------------------------------------------------------- management

    def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        """How much each queue holds, in the order asked for."""
        ...

    def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at the records `reserve` would give next; nothing changes."""
        ...

    def purge(self, queue: str, *, until: float | None = None) -> int:
        """Delete the ready records of a queue; gives their number.

        The one call that need not be a single step: many may go in several, so that nobody waits for long. Cut short,
        it has deleted some, and can be called again.
        """
        ...

    # ------------------------------------------------------------------------------------------ catalogue

    def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        """Read groups as they stand at one moment; a missing one has revision 0 and no values.

        Of those in `parts` (and not in `groups`) only the named fields, at a cost that does not grow with the others.
        """
        ...

    def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:
        """Only the revisions of groups, in the order asked for; cheaper than `read`."""
        ...

    def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:
        """Revision and age (ms) of every group whose name starts so."""
        ...

    def change(
        self,
        expect: Mapping[str, Revision],
        writes: Mapping[tuple[str, str], str | None],
        drop: Sequence[str] = (),
        *,
        only_empty: bool = False,
        if_dead: str | None = None,
        until: float | None = None,
    ) -> bool:
        """Write values (None deletes one) if every group still has the expected revision; False: it has not.

        Each group written gets a new revision and age 0; one without values ceases to exist. The records of dropped
        queues (ready, delayed, leased) go in the same step; with `only_empty`, a ready record in one of them
        makes it False. So does, with `if_dead`, that owner if it is not (or no longer) past its time, as `forget`
        looks at it; an owner that the store does not know counts as dead.
        """
        ...


class AsyncStorage(Protocol):
    """The contract in its asyncio form; each method promises what its namesake in `Storage` does."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def open(self, seconds: float) -> None: ...

    async def close(self, seconds: float) -> None: ...

    def discard(self) -> None: ...

    async def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None: ...

    async def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]: ...

    async def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]: ...

    async def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]: ...

    async def trim(
        self,
        queue: str,
        max_count: int | None,
        max_bytes: int | None,
        owner: str,
        lease_ms: int,
        limit: int = 100,
        *,
        until: float | None = None,
    ) -> Sequence[Leased]: ...

    async def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]: ...

    async def release(
        self,
        tokens: Sequence[Token],
        owner: str,
        delay_ms: int = 0,
        *,
        counted: bool = True,
        until: float | None = None,
    ) -> Sequence[Token]: ...

    async def forward(
        self,
        token: Token,
        owner: str,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        *,
        until: float | None = None,
    ) -> bool: ...

    async def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]: ...

    async def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool: ...

    async def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]: ...

    async def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]: ...

    async def forget(
        self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None
    ) -> bool: ...

    async def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept: ...

    async def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None: ...

    def wake(self) -> None: ...

    async def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]: ...

    async def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]: ...

    async def purge(self, queue: str, *, until: float | None = None) -> int: ...

    async def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]: ...

    async def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]: ...

    async def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]: ...

    async def change(
        self,
        expect: Mapping[str, Revision],
        writes: Mapping[tuple[str, str], str | None],
        drop: Sequence[str] = (),
        *,
        only_empty: bool = False,
        if_dead: str | None = None,
        until: float | None = None,
    ) -> bool: ...
