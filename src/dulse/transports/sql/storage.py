"""TableStorage: the Storage contract on a database, each method the step of another module in one transaction."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from typing import Final

from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Target, Token
from dulse.transports.sql import catalogue, looking, owning, putting, schema, sweeping, taking
from dulse.transports.sql.connections import Connections, Source
from dulse.transports.sql.names import stored
from dulse.transports.sql.taking import Taker
from dulse.transports.sql.waiting import Waiters
from dulse.virtual.storage import Move, StaleTopology

__all__ = ["TableStorage"]

PURGE_STEP: Final = 2000
"""Records purged by one transaction."""

MAX_RECORD: Final = 512_000_000
MAX_RECORD_MYSQL: Final = 8_000_000
"""Bytes: what MariaDB takes in one statement by default, 16 MiB; a server that takes less says so when it is opened."""

MOST_GUARDS: Final = 8


class TableStorage:
    """The store in the tables of a database. Any number of threads, processes and machines may use one.

    `kind` names the database, such as "postgresql"; with `listens` its driver hears of NOTIFY. `longest_pause` is how
    many seconds may lie between two looks of an idle consumer where the database tells nobody of changes.
    """

    def __init__(self, source: Source, *, kind: str, listens: bool, longest_pause: float | None = None) -> None:
        self._capabilities = Capabilities(
            max_record=MAX_RECORD_MYSQL if kind in {"mysql", "mariadb"} else MAX_RECORD,
            leases="owner",
            wake="push" if listens else "poll",
            durable="machine",
            shared=True,
        )
        self._is_mysql = kind in {"mysql", "mariadb"}
        self._takes_at_once = kind == "postgresql"
        self._connections = self._connect(source)
        self._waiters = Waiters(listens=listens, longest_pause=longest_pause)
        self._publisher = ""
        self._begin()

    def _connect(self, source: Source) -> Connections:
        return Connections(source)

    def _begin(self) -> None:
        self._numbers = itertools.count(int.from_bytes(os.urandom(7), "big"))
        self._registered: set[str] = set()
        self._reborn: set[str] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connections.place}: {'open' if self._connections.is_open else 'closed'}>"

    @property
    def capabilities(self) -> Capabilities:
        """What this store can do."""
        return self._capabilities

    def open(self, seconds: float) -> None:
        """Connect, and make the tables if there are none."""
        if self._connections.is_open:
            return
        self._connections.open(seconds)
        try:
            if self._is_mysql:
                largest = min(MAX_RECORD_MYSQL, self._connections.once(None, schema.largest_record))
                self._capabilities = self._capabilities._replace(max_record=largest)
            if not self._connections.once(None, schema.is_ours):
                self._make_tables()
        except BaseException:
            self._connections.close()
            raise

    def _make_tables(self) -> None:
        self._connections.write(None, schema.ensure)

    def close(self, seconds: float) -> None:
        """Close all connections and end all waits; leases stay."""
        self._connections.close()
        self._waiters.close()

    def discard(self) -> None:
        """Be closed in a forked child, and leave alone what is the parent's."""
        self._connections.discard()
        self._waiters.discard()
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
        if publisher is not None:
            self._publisher = publisher[0]
        elif len(puts) == 1 and len(guards) <= MOST_GUARDS:
            put = puts[0]
            targets = put.targets
            if len(targets) == 1 and not putting.has_limit(targets[0]):
                if self._connections.once(until, putting.put_one, put, targets[0], guards):
                    return ()
                if park is None:
                    raise StaleTopology(guards)
            elif not targets and park is None:
                self._connections.once(until, putting.check_guards, guards)
                return ()
        # A signal's handler would wait for its own thread, if that has locked the same queue.
        locks = not self._connections.is_within()
        return self._connections.write(until, putting.put_all, puts, guards, publisher, park, locks=locks)

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
            ready = set(self._connections.once(until, looking.ready_queues, [queue for queue, _ in wants]))
            wants = [want for want in wants if want[0] in ready]
        taker = Taker(owner, lease_ms, next(self._numbers))
        if self._takes_at_once and len(wants) == 1:
            done = self._connections.once(until, taking.reserve_at_once, wants[0], taker, settle)
            if done is not None:
                return done
        if not settle and len(wants) == 1 and not self._connections.once(until, looking.has_ready, wants[0][0]):
            return (), ()
        if not wants:
            return (), self.settle(settle, owner, until=until)
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
        taker = Taker(owner, lease_ms, next(self._numbers))
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
        if not putting.has_limit(limits) or self._connections.is_within():
            return ()  # within another call of this thread: the next `put` has it done
        taker = Taker(owner, lease_ms, next(self._numbers))
        taken, known = self._connections.write(until, taking.trim, limits, limit, taker)
        if not known:
            self._register(owner)
        return taken

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Delete taken records for good."""
        if not tokens:
            return ()
        door = self._connections.once if len(tokens) == 1 or self._takes_at_once else self._connections.write
        return door(until, taking.settle, tokens, owner)

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
        return not self._connections.write(until, taking.forward, [(token, puts)], owner, guards)

    def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        """Forward each record, all in one transaction."""
        return self._connections.write(until, taking.forward, moves, owner, guards) if moves else ()

    # -------------------------------------------------------------------------------------------- owners

    def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Keep an owner; False if this object registered it before and it was forgotten since then."""
        if not self._connections.write(until, owning.renew, stored(owner), lease_ms):
            self._register(owner)
        if owner in self._reborn:
            self._reborn.discard(owner)
            return False
        return True

    def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Name what an owner holds."""
        return self._connections.once(until, owning.held, stored(owner))

    def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        """Name the owners past their time."""
        return self._connections.once(until, owning.dead_owners)

    def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        """Give back what an owner holds that is past its time."""
        if force:
            self._registered.discard(owner)
        return self._connections.write(until, owning.forget, stored(owner), limit, force=force)

    # ---------------------------------------------------------------------------------------------- time

    def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Make delayed records ready; tell what has expired."""
        promoted: Sequence[str] = ()
        if self._connections.once(until, sweeping.is_due):
            promoted = self._connections.write(until, sweeping.promote, limit)
        return self._connections.once(until, sweeping.look, promoted)

    def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues has a ready record."""
        return self._waiters.wait(self._connections, queues, seconds)

    def wake(self) -> None:
        """End all running waits; if there is none, the next."""
        self._waiters.ring()

    # ---------------------------------------------------------------------------------------- management

    def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        """Count what each queue holds, row by row."""
        return self._connections.read(until, looking.depth, queues)

    def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at the records that come next."""
        return self._connections.once(until, looking.peek, queue, count)

    def purge(self, queue: str, *, until: float | None = None) -> int:
        """Delete the ready records of a queue, many in several steps."""
        left = self._connections.once(until, looking.count_ready, queue)
        purged = 0
        while True:
            done = self._connections.write(until, looking.purge, queue, min(PURGE_STEP, max(1, left)))
            purged += done
            left -= done
            if left <= 0 or not done:
                return purged

    # ----------------------------------------------------------------------------------------- catalogue

    def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        """Read groups, and parts of others, as they stand at one moment."""
        if not parts:
            return self._connections.once(until, catalogue.read_groups, groups, {})
        return self._connections.read(until, catalogue.read_groups, groups, parts)

    def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:
        """Give the revisions of groups."""
        return self._connections.once(until, catalogue.revisions, groups)

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
            until, catalogue.change, expect, writes, drop, only_empty=only_empty, if_dead=if_dead
        )
