"""SQLiteStorage: the Storage contract on one SQLite file, each method the step of another module in one transaction."""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from dulse import errors
from dulse.links.bell import Bell
from dulse.links.clocks import read_boot
from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Target, Token
from dulse.transports.sqlite import catalogue, forks, looking, owning, putting, schema, sweeping, taking, waiting
from dulse.transports.sqlite.connections import Connections
from dulse.transports.sqlite.place import Place
from dulse.transports.sqlite.taking import Taker
from dulse.virtual.storage import Move, StaleTopology

__all__ = ["SQLiteStorage"]

Durability = Literal["full", "normal"]

SYNCHRONOUS: Final[Mapping[str, str]] = {"full": "FULL", "normal": "NORMAL"}

PRAGMAS: Final = """
PRAGMA synchronous = {synchronous};
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA wal_autocheckpoint = 1000;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -8000;
PRAGMA mmap_size = 0;
PRAGMA temp_store = MEMORY;
PRAGMA secure_delete = OFF;
PRAGMA recursive_triggers = OFF;
PRAGMA trusted_schema = OFF;
"""
"""For every connection. Files mapped into memory would turn a full disk into a SIGBUS; secure_delete writes every page
that becomes free; a system's build may have changed the defaults of the others."""

LONG_LOG: Final = 16 << 20
"""Bytes of the write-ahead log above which `sweep` empties it."""

VERY_LONG_LOG: Final = 32 << 20
"""Bytes of the log above which all who write empty it first: `sweep` finds no moment for it when many write."""

LOOK_AT_LOG: Final = 16
"""Writes between two looks at its size."""

CUT_WITHIN: Final = 1.0
CUT_AGAIN: Final = 5.0
"""Seconds for which a writer tries to empty the log, and after which it tries again, as somebody reads for long."""

GONE: Final = (
    errors.StorageError,
    "was deleted or replaced while it was in use; what was published since then is lost with it: open a new connection",
)

PURGE_STEP: Final = 2000
"""Records purged while nobody else can write."""

PURGE_PAUSE: Final = 0.01
"""Seconds between two such steps, in which others get the lock."""

MAX_RECORD: Final = 999_000_000


class SQLiteStorage:
    """The store of `sqlite:///path`. Any number of threads, processes and Storage objects may use one file.

    `durability` "full" waits with every commit until the disk says that it is written: what was published survives the
    end of the process and of the machine, as far as the disk keeps its word. "normal" does not wait: it survives any
    end of the process, also SIGKILL; after a power loss the last commits may be missing, and the file is sound all the
    same. `waking` "poll" looks every 2 to 35 ms instead of asking inotify (as it does by itself where there is none).
    `on_network` allows a file on a network file system; one machine alone may use it then.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        durability: Durability = "full",
        *,
        waking: Literal["push", "poll"] = "push",
        on_network: bool = False,
    ) -> None:
        if durability not in SYNCHRONOUS:
            text = (
                f"durability {durability!r} is unknown: 'full' survives a power loss, 'normal' the end of the process"
            )
            raise errors.make(errors.InvalidArgument, text)
        if waking not in {"push", "poll"}:
            raise errors.make(errors.InvalidArgument, f"waking {waking!r} is unknown: use 'push' (inotify) or 'poll'")
        self._capabilities = Capabilities(
            max_record=MAX_RECORD,
            leases="owner",
            wake="push" if waking == "push" and sys.platform == "linux" else "poll",
            durable="machine" if durability == "full" else "process",
            shared=True,
        )
        self._place = Place(path, on_network=on_network)
        pragmas = PRAGMAS.format(synchronous=SYNCHRONOUS[durability])
        self._connections = Connections(self._place, pragmas)
        self._publisher = ""
        self._boot = ""
        self._begin()

    def _begin(self) -> None:
        self._bell = Bell(self._place.wal, push=self._capabilities.wake == "push")
        self._numbers = itertools.count(int.from_bytes(os.urandom(7), "big"))
        self._writes = 0
        self._cut_at = 0.0
        self._registered: set[str] = set()
        self._reborn: set[str] = set()

    def __repr__(self) -> str:
        return f"<SQLiteStorage {self._place.path!r}: {'open' if self._connections.is_open else 'closed'}>"

    @property
    def capabilities(self) -> Capabilities:
        """What this store can do."""
        return self._capabilities

    def open(self, seconds: float) -> None:
        """Open the file, or make it (readable and writable by this user only) if its folder exists."""
        if self._connections.is_open:
            return
        self._place.prepare()
        self._boot = read_boot()
        self._connections.open(seconds)
        forks.watch(self)
        try:
            schema.ensure(self._connections, self._place.path)
        except BaseException:
            self._connections.close(seconds)
            raise

    def close(self, seconds: float) -> None:
        """Close all connections and end all waits; leases stay."""
        self._bell.ring()
        self._connections.close(seconds)

    def discard(self) -> None:
        """Be closed in a forked child, and leave alone what is the parent's."""
        self._connections.discard()
        self._begin()

    def pause(self, seconds: float) -> None:
        """Close the connections before a fork; see `dulse.transports.sqlite.forks`."""
        self._connections.pause(seconds)

    def resume(self) -> None:
        """Go on after a fork, in the parent."""
        self._connections.resume()

    def begin_child(self) -> None:
        """Share nothing with the parent after a fork, in the child."""
        self._connections.begin_child()
        self._begin()

    # ------------------------------------------------------------------------------------------- records

    def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem]:
        """Write all puts into all their targets, if every guard holds; committed when it returns."""
        self._bound_log(until)
        if publisher is not None:
            self._publisher = publisher[0]
        elif len(puts) == 1 and len(guards) < len(putting.PUT_GUARDED):
            put = puts[0]
            targets = put.targets
            if len(targets) == 1 and not putting.has_limit(targets[0]):
                if self._connections.once(until, putting.put_one, put, targets[0], guards):
                    return ()
                if park is None:
                    raise StaleTopology(guards)
            elif not targets and park is None:
                self._connections.read(until, putting.check_guards, guards)
                return ()
        return self._connections.write(until, putting.put_all, puts, guards, publisher, park)

    def _bound_log(self, until: float | None) -> None:
        """Empty the log now and then where it has become very long; whoever waits for that does not lengthen it."""
        self._writes += 1
        if self._writes % LOOK_AT_LOG or self._place.log_size() <= VERY_LONG_LOG or time.monotonic() < self._cut_at:
            return
        end = min(time.monotonic() + CUT_WITHIN, math.inf if until is None else until)
        while self._place.log_size() > VERY_LONG_LOG:
            if time.monotonic() >= end:
                self._cut_at = end + CUT_AGAIN
                return
            self._connections.once(until, sweeping.cut_log)

    def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:
        """Tell the last number of the publisher named last; every put was decided when it returned."""
        return self._connections.once(time.monotonic() + seconds, putting.last_number, self._publisher), ()

    def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Settle, then take and lease. The owner is kept for `lease_ms` less a twentieth, at most 250 ms."""
        if len(wants) > 1:
            # A hundred idle queues cost one statement; and no lock is taken for nothing.
            ready = set(self._connections.once(until, looking.ready_queues, [queue for queue, _ in wants]))
            wants = [want for want in wants if want[0] in ready]
        elif not settle and wants and not self._connections.once(until, looking.has_ready, wants[0][0]):
            return (), ()
        if not wants:
            return (), self.settle(settle, owner, until=until)
        taker = Taker(owner, lease_ms, self._boot, next(self._numbers))
        taken, lost, known = self._connections.write(until, taking.reserve, wants, taker, settle)
        if not known:
            self._register(owner)
        return taken, lost

    def _register(self, owner: str) -> None:
        """Remember that an owner was new in the store; if it was not new to us, `renew` has to tell."""
        if owner in self._registered:
            self._reborn.add(owner)
        self._registered.add(owner)

    def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take and lease ready records that have outlived their ttl_ms, wherever they stand in the queue."""
        taker = Taker(owner, lease_ms, self._boot, next(self._numbers))
        taken, known = self._connections.write(until, taking.reserve_expired, queue, count, taker)
        if not known:
            self._register(owner)
        return taken

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
        """Take and lease heads until the queue is within both limits."""
        limits = Target(queue, max_count=max_count, max_bytes=max_bytes)
        if not putting.has_limit(limits):
            return ()
        taker = Taker(owner, lease_ms, self._boot, next(self._numbers))
        taken, known = self._connections.write(until, taking.trim, limits, limit, taker)
        if not known:
            self._register(owner)
        return taken

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Delete taken records for good."""
        if len(tokens) > 1:
            return self._connections.write(until, taking.settle, tokens, owner)
        return [token for token in tokens if not self._connections.once(until, taking.settle_one, token, owner)]

    def release(
        self,
        tokens: Sequence[Token],
        owner: str,
        delay_ms: int = 0,
        *,
        counted: bool = True,
        until: float | None = None,
    ) -> Sequence[Token]:
        """Put taken records back to their old places."""
        if not tokens:
            return ()
        return self._connections.write(until, taking.release, tokens, owner, delay_ms, counted=counted)

    def forward(
        self, token: Token, owner: str, puts: Sequence[Put], guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> bool:
        """Settle a taken record and put others."""
        return self._connections.write(until, taking.forward, token, owner, puts, guards)

    def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        """Forward each record, all in one transaction."""
        return self._connections.write(until, taking.forward_many, moves, owner, guards)

    # -------------------------------------------------------------------------------------------- owners

    def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Keep an owner; False if this object registered it before and it was forgotten since then."""
        if not self._connections.write(until, owning.renew, owner, lease_ms, self._boot):
            self._register(owner)
        if owner in self._reborn:
            self._reborn.discard(owner)
            return False
        return True

    def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Name what an owner holds."""
        return self._connections.once(until, owning.held, owner)

    def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        """Name the owners past their time, all those of before a reboot among them."""
        return self._connections.read(until, owning.dead_owners, self._boot)

    def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        """Give back what an owner holds that is past its time."""
        if force:
            self._registered.discard(owner)
        return self._connections.write(until, owning.forget, owner, limit, self._boot, force=force)

    # ---------------------------------------------------------------------------------------------- time

    def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Make delayed records ready; tell what has expired; notice if the file was deleted or replaced."""
        if not self._place.is_unchanged():
            self._connections.close(1.0, GONE)
        if self._place.log_size() > LONG_LOG:
            self._connections.once(until, sweeping.cut_log)
        promoted: Sequence[str] = ()
        if self._connections.once(until, sweeping.is_due):
            promoted = self._connections.write(until, sweeping.promote, limit)
        return self._connections.read(until, sweeping.look, promoted)

    def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues has a ready record."""
        return waiting.wait(self._connections, self._bell, queues, seconds)

    def wake(self) -> None:
        """End all running waits; if there is none, the next."""
        self._bell.ring()

    # ---------------------------------------------------------------------------------------- management

    def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        """Count what each queue holds; costs some 10 ms for each 100,000 ready records of a queue without limits."""
        return self._connections.read(until, looking.depth, queues)

    def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at the records that come next."""
        return self._connections.once(until, looking.peek, queue, count)

    def purge(self, queue: str, *, until: float | None = None) -> int:
        """Delete the ready records of a queue, many in several steps, between which others write."""
        left = self._connections.once(until, looking.count_ready, queue)
        purged = 0
        while True:
            done = self._connections.write(until, looking.purge, queue, min(PURGE_STEP, max(1, left)))
            purged += done
            left -= done
            if left <= 0 or not done:
                return purged
            time.sleep(PURGE_PAUSE)

    # ----------------------------------------------------------------------------------------- catalogue

    def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        """Read groups, and parts of others, as they stand at one moment."""
        return self._connections.read(until, catalogue.read_groups, groups, parts or {})

    def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:
        """Give the revisions of groups."""
        return self._connections.read(until, catalogue.revisions, groups)

    def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:
        """Give revision and age (ms) of the groups whose name starts so."""
        return self._connections.once(until, catalogue.list_groups, prefix)

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
        """Write values and drop queues, if every group still has the expected revision."""
        return self._connections.write(
            until, catalogue.change, expect, writes, drop, only_empty=only_empty, if_dead=if_dead, boot=self._boot
        )
