"""A few connections for any number of threads, and the door through which every step goes.

Work is a function of a Link that can be done again from its start: it is, when the database has ended one of several
transactions that waited for each other, and when on SQLite a signal's handler used the storage while it was under way.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from random import random
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from dulse import errors
from dulse.links.interrupters import came_in_between
from dulse.transports.sql import drivers, underway
from dulse.transports.sql.dialects import Dialect
from dulse.transports.sql.failures import is_answer, is_forbidden, is_lock_trouble, is_lost, translate
from dulse.transports.sql.link import Link
from dulse.transports.sql.watch import Watch, Watched

__all__ = ["PROBE_SECONDS", "Connections", "Seat", "Source", "reaches"]

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
Work = Callable[Concatenate[Link, Arguments], Result]

SHORTEST_PAUSE: Final = 0.0005
LONGEST_PAUSE: Final = 0.02
"""Seconds between two tries to get a lock, by chance a little more or less."""

PROBE_SECONDS: Final = 6
"""Within these a server is taken for reachable, also on a machine that is very busy."""

KEPT: Final = 8
"""Connections that stay open while nobody uses them."""

CLOSED: Final = "is closed: call open()"

_left_by_parents: list[Any] = []
"""Connections of a parent process: their sockets are its own, so nothing here may end them in order."""


class _UndoneError(Exception):
    """A transaction was undone by a call that came in between, and is to be done again."""


class Source(Protocol):
    """Where connections to one database come from: an engine of SQLAlchemy, or the settings of somebody else."""

    place: str
    """The database as errors name it, without password."""
    error: type[Exception]
    """The class of all errors of the driver."""

    def connect(self, seconds: float) -> Any:
        """Make one more connection: what has the driver's own as `dbapi_connection`. Raises the driver's errors."""
        ...

    def dialect(self) -> Dialect:
        """Give what the database speaks, after one connection has been made. Raises NotSupported."""
        ...


class Seat:
    """One connection, with what is needed to end a call on it."""

    def __init__(self, proxy: Any, dialect: Dialect, place: str, another: Callable[[], Any]) -> None:
        self._proxy = proxy  # it holds the driver's
        self.place = place
        self.process = os.getpid()
        self.is_undone = False
        self.connection = proxy.dbapi_connection
        drivers.set_autocommit(self.connection, dialect.name)
        self.link = Link(drivers.cursor(self.connection), dialect, place)
        for statement in dialect.prologue:
            self.link.run(statement)
        cancel = partial(drivers.cancel, self.connection, dialect.name, another)
        self.watched = Watched(cancel, partial(drivers.cut, self.connection), partial(reaches, another))

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(Exception):  # it was broken, and is closed now
            self.connection.close()

    def abandon(self) -> None:
        """Leave the connection to its owner, a parent process."""
        _left_by_parents.append((self._proxy, self.connection))


def reaches(another: Callable[[], Any]) -> bool:
    """Tell whether a server answers one more connection."""
    try:
        another().close()
    except Exception as failure:  # noqa: BLE001 - whatever it is, the server answered if it is not silence
        return is_answer(failure)
    return True


class Connections:
    """The connections of one Storage object to one database."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.place = source.place
        self.dialect: Dialect | None = None
        self._error = source.error
        self._seconds = 30.0
        self._begin()

    def _begin(self) -> None:
        self.is_open = False
        self._idle: deque[Seat] = deque()
        self.watch = Watch()

    # --------------------------------------------------------------------------------------------- state

    def open(self, seconds: float) -> None:
        """Let connections be made; each call may take so many seconds from now on."""
        self._seconds = seconds
        self.is_open = True

    def close(self) -> None:
        """Close all connections, one in use when its call ends; refuse further calls."""
        self.is_open = False
        self.close_idle()

    def close_idle(self) -> None:
        """Close those that nobody uses: the next calls make new ones."""
        while self._idle:
            try:
                seat = self._idle.pop()
            except IndexError:
                return
            seat.close()

    def discard(self) -> None:
        """Be closed, without touching the connections of the parent process."""
        for seat in self._idle:
            seat.abandon()
        self._begin()

    # ---------------------------------------------------------------------------------------------- work

    def once(
        self, until: float | None, work: Work[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Do work that is a single statement, or several that need not be one step."""
        return self._work(until, "", work, *arguments, **named)

    def write(
        self, until: float | None, work: Work[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Do work of several statements as one step: all of it, or none if it raises."""
        return self._work(until, "write", work, *arguments, **named)

    def read(
        self, until: float | None, work: Work[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Do work of several statements that see the database at one moment."""
        return self._work(until, "read", work, *arguments, **named)

    def _work(
        self,
        until: float | None,
        how: str,
        work: Work[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        below = underway.undo(self.place) if self.dialect is not None and self.dialect.is_sqlite else ()
        try:
            return self._persist(self.end_of(until), how, work, *arguments, **named)
        finally:
            underway.begin_again(below)

    def _persist(
        self,
        end: float,
        how: str,
        work: Work[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """Try until it is done, or the time is over."""
        pause = SHORTEST_PAUSE
        while True:
            seat = self._take(end)
            self.watch.enter(seat.watched, end)
            try:
                result = _do(seat, self._error, end, how, work, *arguments, **named)
            except _UndoneError:
                self._undo(seat, how)
                continue
            except self._error as error:
                self.watch.leave(seat.watched)
                if not (self._recover(seat, error, how) and time.monotonic() < end):
                    raise translate(error, self.place, silent=seat.watched.is_cut) from error
            except UnicodeEncodeError as error:
                self._undo(seat, how)
                text = f"{self.place} cannot hold that name: {error}"
                raise errors.make(errors.InvalidArgument, text) from error
            except Exception:
                self._undo(seat, how)
                raise
            except BaseException:
                # Interrupted at any point: the server ends what was not committed.
                self.watch.leave(seat.watched)
                seat.close()
                raise
            else:
                self.watch.leave(seat.watched)
                self._put_back(seat)
                return result
            time.sleep(pause * (0.5 + random()))  # noqa: S311 - no secret
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def end_of(self, until: float | None) -> float:
        """Give when a call has to end, on time.monotonic()."""
        end = time.monotonic() + self._seconds
        return end if until is None else min(until, end)

    def _recover(self, seat: Seat, error: Exception, how: str) -> bool:
        """Make a connection good again after an error, or close it; tells whether to try again."""
        if is_lost(error, seat.connection) or seat.watched.is_late:
            seat.close()
            if not seat.watched.is_late:
                self.close_idle()  # the server has ended: they are lost as well
            return False
        self._undo(seat, how)
        if is_forbidden(error):
            self.close_idle()  # so that the next call begins a session, or finds the primary server
        return is_lock_trouble(error)

    def _undo(self, seat: Seat, how: str) -> None:
        """End a transaction that raised, and keep the connection if that works."""
        self.watch.leave(seat.watched)
        try:
            if how and not seat.link.dialect.is_sqlite:  # whose steps end what they begin
                self.watch.enter(seat.watched, time.monotonic() + self._seconds)
                seat.link.run("ROLLBACK")
                self.watch.leave(seat.watched)
        except self._error:
            self.watch.leave(seat.watched)
            seat.close()
        except BaseException:
            seat.close()
            raise
        else:
            self._put_back(seat)

    def on(
        self, seat: Seat, work: Work[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Do work of a single statement on a connection that is the caller's own; after an error it is of no use."""
        self.watch.enter(seat.watched, time.monotonic() + self._seconds)
        try:
            return work(seat.link, *arguments, **named)
        except self._error as error:
            raise translate(error, self.place, silent=seat.watched.is_cut) from error
        finally:
            self.watch.leave(seat.watched)

    def is_within(self) -> bool:
        """Tell whether this thread has a transaction of ours open: it waits for its own locks on rows, for ever."""
        sqlite = self.dialect is not None and self.dialect.is_sqlite  # which undoes it
        return not sqlite and underway.is_within(self.place)

    # -------------------------------------------------------------------------------------------- seats

    def _take(self, end: float) -> Seat:
        self.must_be_open()
        try:
            return self._idle.pop()
        except IndexError:
            return self.connect(end - time.monotonic())

    def must_be_open(self) -> None:
        """Raise ConnectionClosed if it is not."""
        if not self.is_open:
            raise errors.make(errors.ConnectionClosed, f"{self.place} {CLOSED}")

    def _put_back(self, seat: Seat) -> None:
        if seat.watched.is_late or not self.is_open or len(self._idle) >= KEPT:
            seat.close()
        else:
            self._idle.append(seat)

    def connect(self, seconds: float) -> Seat:
        """Make one more connection, for as long as the caller likes."""
        try:
            proxy = self._source.connect(seconds)
            if self.dialect is None:
                self.dialect = self._source.dialect()
            return Seat(proxy, self.dialect, self.place, partial(self._source.connect, PROBE_SECONDS))
        except self._error as error:
            raise translate(error, self.place, connecting=True) from error


def _do(
    seat: Seat,
    error: type[Exception],
    end: float,
    how: str,
    work: Work[Arguments, Result],
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> Result:
    link = seat.link
    if link.dialect.is_sqlite:
        return _do_alone(seat, error, end, how, work, *arguments, **named)
    if not how:
        return work(link, *arguments, **named)
    underway.enter(seat)
    try:
        if how == "write":
            link.run(link.dialect.begin)
        else:
            _begin_reading(link)
        result = work(link, *arguments, **named)
        link.run("COMMIT")
        return result
    finally:
        underway.leave(seat)


def _do_alone(
    seat: Seat,
    error: type[Exception],
    end: float,
    how: str,
    work: Work[Arguments, Result],
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> Result:
    """Do work where there is one writer at a time: always in a transaction, which can be undone."""
    link = seat.link
    underway.enter(seat)
    try:
        link.run(link.dialect.begin if how == "write" else "BEGIN")
        result = work(link, *arguments, **named)
        if not seat.is_undone:  # else what was done since then would be committed alone
            _commit(seat, end)
        if not seat.is_undone:  # just before that COMMIT, which then committed nothing
            return result
    except error:
        if not seat.is_undone:
            raise
    except Exception as failure:
        if not seat.is_undone or came_in_between(failure):
            raise
    finally:
        try:
            if underway.has_begun(seat):  # once it is left, nobody who comes in between could undo it
                link.run("ROLLBACK")
        finally:
            underway.leave(seat)
    raise _UndoneError


def _commit(seat: Seat, end: float) -> None:
    """Commit; where readers are in the way, they end soon, and SQLite lets no others begin meanwhile.

    What is written goes to the file now only, unless the journal is a write-ahead log (SQLite, "File Locking", §5).
    """
    pause = SHORTEST_PAUSE
    while not seat.is_undone:
        try:
            seat.link.run("COMMIT")
        except Exception as error:
            if seat.is_undone or not (is_lock_trouble(error) and time.monotonic() < end):
                raise
        else:
            return
        time.sleep(pause * (0.5 + random()))  # noqa: S311 - no secret
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _begin_reading(link: Link) -> None:
    if link.dialect.is_postgresql:
        link.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    else:
        link.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        link.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
