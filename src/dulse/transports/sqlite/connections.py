"""One SQLite connection a thread, and the door through which every statement goes.

Work is a function of a connection that can be done again from its start: it is, when others held the lock, and when
a signal handler or a finalizer of the same thread used the storage while it was under way.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from random import random
from typing import Concatenate, Final, ParamSpec, TypeVar

from dulse import errors
from dulse.links.interrupters import came_in_between
from dulse.transports.sqlite import forks
from dulse.transports.sqlite.failures import is_busy, translate
from dulse.transports.sqlite.place import Place
from dulse.transports.sqlite.seat import Seat

__all__ = ["Connections"]

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
Work = Callable[Concatenate[sqlite3.Connection, Arguments], Result]

SHORTEST_PAUSE: Final = 0.0005
LONGEST_PAUSE: Final = 0.02
"""Seconds between two tries to get a lock, by chance a little more or less. SQLite's own pauses grow to 100 ms, all
alike: who comes back a moment too late each time starves beside busy processes, and signal handlers wait as well."""

NOT_OPEN: Final = (errors.ConnectionClosed, "is not open: call open()")
NOT_OPEN_HERE: Final = (errors.ConnectionClosed, "was opened by the parent process: call open()")
CLOSED: Final = (errors.ConnectionClosed, "is closed: call open()")


class _UndoneError(Exception):
    """A transaction was undone by a call that came in between, and is to be done again."""


class Connections:
    """The connections of one Storage object to one file."""

    def __init__(self, place: Place, pragmas: str) -> None:
        self._place = place
        self._pragmas = pragmas
        self._seconds = 30.0
        self._shut: tuple[type[errors.OperationalError], str] | None = NOT_OPEN
        self._lock = threading.RLock()
        self._held: list[Seat] = []
        self._begin()

    def _begin(self) -> None:
        """Let every thread take a new seat; the old ones end when nobody works there any more."""
        self._here = threading.local()
        self._seats: weakref.WeakSet[Seat] = weakref.WeakSet()

    # --------------------------------------------------------------------------------------------- state

    @property
    def is_open(self) -> bool:
        """Whether calls are taken."""
        return self._shut is None

    def open(self, seconds: float) -> None:
        """Let connections be made; each call may take so many seconds from now on."""
        self._seconds = seconds
        self._shut = None

    def close(self, seconds: float, why: tuple[type[errors.OperationalError], str] = CLOSED) -> None:
        """Close all connections, one in use when its call ends; refuse further calls with `why`, until `open`."""
        self._shut = why
        end = time.monotonic() + seconds
        with self._lock:
            seats = list(self._seats)
            self._begin()
        for seat in seats:
            if seat.gate.acquire(timeout=max(0.0, end - time.monotonic())):
                try:
                    if not seat.inside:
                        seat.vacate()
                finally:
                    seat.gate.release()

    def discard(self) -> None:
        """Be closed, without touching the connections of the parent process."""
        self._shut = NOT_OPEN_HERE
        self.begin_child()

    # ---------------------------------------------------------------------------------------------- work

    def once(
        self, until: float | None, work: Work[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Do work that is a single statement, which SQLite makes atomic by itself."""
        return self._work(until, None, work, *arguments, **named)

    def read(
        self, until: float | None, work: Work[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Do work of several statements that see the store at one moment."""
        return self._work(until, "BEGIN", work, *arguments, **named)

    def write(
        self, until: float | None, work: Work[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Do work of several statements as one step: all of it, or none if it raises."""
        return self._work(until, "BEGIN IMMEDIATE", work, *arguments, **named)

    def _work(
        self,
        until: float | None,
        begin: str | None,
        work: Work[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        if self._shut is not None:
            kind, why = self._shut
            raise errors.make(kind, f"{self._place.path} {why}")
        try:
            seat: Seat = self._here.seat
        except AttributeError:
            seat = self._take_seat()
        began, pause = 0.0, SHORTEST_PAUSE
        while True:
            try:
                with seat.gate:
                    if seat.inside:
                        return self._in_between(seat, until, begin, work, *arguments, **named)
                    connection = seat.connection or self._connect(seat)
                    if begin is None:
                        return work(connection, *arguments, **named)
                    return _transact(seat, connection, begin, work, *arguments, **named)
            except _UndoneError:
                continue
            except sqlite3.Error as error:
                began = began or time.monotonic()
                left = self._time_left(error, began, until)
                # Outside the gate, for a fork or a close.
                time.sleep(min(left, pause * (0.5 + random())))  # noqa: S311 - no secret
                pause = min(pause * 1.5, LONGEST_PAUSE)
            except (OverflowError, UnicodeEncodeError) as error:
                text = f"SQLite cannot hold that name or number: {error}"
                raise errors.make(errors.InvalidArgument, text) from error

    def _in_between(
        self,
        seat: Seat,
        until: float | None,
        begin: str | None,
        work: Work[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """Work while a transaction of this very thread is under way below us: undo that one, it will be done again."""
        connection = seat.connection or self._connect(seat)
        undone = connection.in_transaction
        if undone:
            connection.execute("ROLLBACK")
            seat.undone = True
        seat.inside = False
        try:
            return self._work(until, begin, work, *arguments, **named)
        finally:
            seat.inside = True
            if undone and not connection.in_transaction:
                # What is left of the work below us must not be committed statement by statement.
                connection.execute("BEGIN")

    def _time_left(self, error: sqlite3.Error, began: float, until: float | None) -> float:
        """Give the seconds for which to try again what others' locks have kept us from, or raise."""
        now = time.monotonic()
        limit = began + self._seconds
        left = (limit if until is None else min(limit, until)) - now
        if left > 0 and is_busy(error):
            return left
        raise translate(error, self._place.path, now - began) from error

    # -------------------------------------------------------------------------------------------- seats

    def _take_seat(self) -> Seat:
        with self._lock:
            seat = self._here.seat = Seat(self._place.identity)
            self._seats.add(seat)
        return seat

    def _connect(self, seat: Seat) -> sqlite3.Connection:
        if forks.is_inherited(self._place.identity):
            text = (
                f"this process was forked while its parent was in the middle of using {self._place.path}, so it cannot "
                "safely use that file: fork before the broker is used, or start processes with 'spawn'"
            )
            raise errors.make(errors.StorageError, text)
        connection = sqlite3.connect(
            self._place.uri,
            uri=True,
            timeout=0,  # we wait, and signal handlers run meanwhile
            isolation_level=None,
            check_same_thread=False,  # closed by others; the gate keeps two from using it at once
            cached_statements=256,
        )
        try:
            connection.executescript(self._pragmas)
        except BaseException:
            connection.close()
            raise
        seat.connection = connection
        return connection

    # --------------------------------------------------------------------------------------------- forks

    def pause(self, seconds: float) -> None:
        """Close what is open, and let nobody open before `resume`."""
        self._lock.acquire()
        end = time.monotonic() + seconds
        for seat in list(self._seats):
            if seat.gate.acquire(timeout=max(0.0, end - time.monotonic())):
                self._held.append(seat)
                if not seat.inside:
                    seat.vacate()

    def resume(self) -> None:
        """Let everybody go on."""
        while self._held:
            self._held.pop().gate.release()
        self._lock.release()

    def begin_child(self) -> None:
        """Begin with no connection; one of the parent that is still open stays so, and its file is refused."""
        seats = list(self._seats)
        self._lock = threading.RLock()
        self._held = []
        self._begin()
        for seat in seats:
            seat.vacate()


def _transact(
    seat: Seat,
    connection: sqlite3.Connection,
    begin: str,
    work: Work[Arguments, Result],
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> Result:
    below, seat.undone = seat.undone, False
    seat.inside = True
    try:
        connection.execute(begin)
        result = work(connection, *arguments, **named)
        if not seat.undone:  # else what was done since then would be committed alone
            connection.execute("COMMIT")
        if not seat.undone:  # just before that COMMIT, which then committed nothing
            return result
    except sqlite3.Error:
        if not seat.undone:
            raise
    except Exception as failure:
        if not seat.undone or came_in_between(failure):
            raise
    finally:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            seat.vacate()  # which rolls back as well
        finally:
            seat.inside = False
            seat.undone = below
    raise _UndoneError
