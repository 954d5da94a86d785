"""DjangoStorage: the tables of a broker in a database of the project, and in the transactions of its threads."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dulse import errors
from dulse.model.records import Guard, Leased, Problem, Put, Swept, Token
from dulse.transports.django.callers import Callers
from dulse.transports.django.database import Database, is_in_transaction
from dulse.transports.django.project import set_up, wrapper_of
from dulse.transports.sql.connections import Connections, Source
from dulse.transports.sql.storage import TableStorage
from dulse.transports.sqlite import forks

__all__ = ["DjangoStorage"]

MOMENT: Final = 0.001
"""Seconds after which one who waits for a fork, or a fork for others, looks again."""

OUTSIDE: Final = "do it before transaction.atomic() begins, or when it is over"


class DjangoStorage(TableStorage):
    """The store of `django://`. Any number of threads and processes may use one database.

    A `put` by a thread that is within `transaction.atomic()` is a part of its transaction; all else goes by
    connections of our own, and is done when it returns. Records are not taken within a transaction. SQLite has one
    writer at a time: while a thread is in a transaction, what would write by a connection of ours waits for its end.
    """

    def __init__(self, alias: str, *, longest_pause: float | None = None) -> None:
        set_up()
        self._database = Database(alias)
        super().__init__(
            self._database,
            kind=self._database.kind,
            listens=self._database.kind == "postgresql",
            longest_pause=longest_pause,
        )
        self._callers = Callers(self._database, self._connections)
        self._has_one_writer = self._database.kind == "sqlite"

    def _connect(self, source: Source) -> Connections:
        return OwnConnections(self._database)

    def _make_tables(self) -> None:
        text = (
            f"{self._database.place} has no tables for messages: "
            f"run 'manage.py migrate dulse --database {self._database.alias}'"
        )
        raise errors.make(errors.StorageCorrupt, text)

    def is_within(self) -> bool:
        """Tell whether the calling thread is in a transaction of its own in our database."""
        return is_in_transaction(wrapper_of(self._database.alias))

    def _must_wait(self) -> bool:
        """Tell whether a connection of ours cannot write before the calling thread's transaction has ended."""
        return self._has_one_writer and self.is_within()

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
        """Write all puts into all their targets: committed when it returns, or together with the thread's own work."""
        wrapper = wrapper_of(self._database.alias)
        if not is_in_transaction(wrapper):
            return super().put(puts, guards, publisher, park, until=until)
        self._connections.must_be_open()
        return self._callers.put(wrapper, puts, guards, park, until)

    def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Settle, then take and lease; NotSupported within a transaction of the project's."""
        if self.is_within():
            text = (
                f"messages of {self._database.place} are not consumed within transaction.atomic(), since their "
                f"acknowledgement would not be undone with it: {OUTSIDE} (in tests: TransactionTestCase)"
            )
            raise errors.make(errors.NotSupported, text)
        return super().reserve(wants, owner, lease_ms, settle, until=until)

    def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take and lease records that have outlived their ttl_ms, unless the next look will have to do so."""
        return () if self._must_wait() else super().reserve_expired(queue, count, owner, lease_ms, until=until)

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
        """Take and lease heads until the queue is within both limits; whatever is not committed does not count."""
        if self._must_wait():
            return ()
        return super().trim(queue, max_count, max_bytes, owner, lease_ms, limit, until=until)

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Delete taken records for good."""
        if tokens and self._must_wait():
            raise busy(self._database.place)
        return super().settle(tokens, owner, until=until)

    # -------------------------------------------------------------------------------------------- owners

    def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Keep an owner; where the thread's own transaction is in the way, the keeper does so a little later."""
        return True if self._must_wait() else super().renew(owner, lease_ms, until=until)

    def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        """Name the owners past their time, unless nothing could be done about them now."""
        return ({}, None) if self._must_wait() else super().dead_owners(until=until)

    def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        """Give back what an owner holds that is past its time; or leave it to those who notice that it is."""
        return False if self._must_wait() else super().forget(owner, limit, force=force, until=until)

    def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Make delayed records ready; tell what has expired."""
        return Swept((), (), None) if self._must_wait() else super().sweep(limit, until=until)


class OwnConnections(Connections):
    """Connections of ours that do not wait for the calling thread itself, and of which SQLite's are not inherited."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_one_writer = database.kind == "sqlite"
        self.begin_child()
        super().__init__(database)
        if self._has_one_writer:
            forks.watch(self)

    def write(self, until: float | None, work: Any, *arguments: Any, **named: Any) -> Any:
        """Do work as one step; StorageBusy where the calling thread's own transaction is in the way."""
        if self._has_one_writer and is_in_transaction(wrapper_of(self._database.alias)):
            raise busy(self.place)
        return super().write(until, work, *arguments, **named)

    def _work(self, until: float | None, how: str, work: Any, *arguments: Any, **named: Any) -> Any:
        if not self._has_one_writer:
            return super()._work(until, how, work, *arguments, **named)
        ticket = _Ticket()
        end = self.end_of(until)
        try:
            while True:
                self._at_work.add(ticket)
                if not self._is_forking or time.monotonic() >= end:
                    return super()._work(until, how, work, *arguments, **named)
                self._at_work.discard(ticket)
                time.sleep(MOMENT)
        finally:
            self._at_work.discard(ticket)

    # --------------------------------------------------------------------------------------------- forks

    def pause(self, seconds: float) -> None:
        """Close what is open before a fork, and hold back what would open again."""
        self._is_forking = True
        end = time.monotonic() + seconds
        while self._at_work:
            if time.monotonic() >= end:
                return
            time.sleep(MOMENT)
        self.close_idle()

    def resume(self) -> None:
        """Go on, in the parent."""
        self._is_forking = False

    def begin_child(self) -> None:
        """Begin anew, in the child: whoever was at work is a thread of the parent."""
        self._is_forking = False
        self._at_work: weakref.WeakSet[_Ticket] = weakref.WeakSet()


class _Ticket:
    """Stands for a call at work; no lock does, since a signal's handler that raises may leave one locked for ever."""


def busy(place: str) -> Exception:
    """Make the error for what would have to wait for the thread that asks for it."""
    text = (
        f"{place} has one writer at a time, which is the transaction of this very thread: "
        f"queues are declared, changed and looked after outside of it: {OUTSIDE}"
    )
    return errors.make(errors.StorageBusy, text)
