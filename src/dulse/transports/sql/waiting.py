"""Waiting for records: asleep until PostgreSQL tells of one, elsewhere looking again and again, ever more seldom."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any, Final

from dulse import errors
from dulse.links.polling import READABLE, poller
from dulse.transports.sql import drivers, looking
from dulse.transports.sql.connections import Connections, Seat
from dulse.transports.sql.failures import translate
from dulse.transports.sql.link import Link, channel_of

__all__ = ["Waiter", "Waiters"]

FIRST_PAUSE: Final = 0.002
LONGEST_PAUSE: Final = 0.05
GROWTH: Final = 1.3
"""Seconds between two looks where nobody tells of records."""

LOOK_ANYWAY: Final = 4.0
"""Seconds after which a listener looks all the same: it finds that way that its connection has broken in silence."""


class Waiter:
    """One thread's place for waiting: a pipe to wake it by and, on PostgreSQL, a connection that listens."""

    _pipe: tuple[int, ...] = ()

    def __init__(self) -> None:
        self._pipe = self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self._seat: Seat | None = None
        self._channels: set[str] = set()
        self._news: list[object] = []

    def __del__(self) -> None:
        """Give the descriptors back; not earlier, for `ring` may run at any moment."""
        for descriptor in self._pipe:
            os.close(descriptor)

    def ring(self) -> None:
        """End the wait; if there is none, the next."""
        with contextlib.suppress(BlockingIOError):  # so full of rings that one more says nothing
            os.write(self.writer, b"\0")

    def close(self) -> None:
        """Stop listening."""
        seat, self._seat = self._seat, None
        self._channels.clear()
        if seat is not None:
            seat.close()

    def abandon(self) -> None:
        """Leave the connection to the parent process."""
        if self._seat is not None:
            self._seat.abandon()
            self._seat = None

    def look(self, connections: Connections, queues: Sequence[str]) -> Sequence[str]:
        """Give those of the queues that have a ready record; by the connection that listens, which proves it alive."""
        if self._seat is not None:
            return connections.on(self._seat, looking.ready_queues, queues)
        return connections.once(None, looking.ready_queues, queues)

    def listen(self, connections: Connections, queues: Sequence[str], seconds: float) -> None:
        """Hear of these queues from now on."""
        missing = {channel_of(queue) for queue in queues} - self._channels
        if self._seat is None:
            self._seat = connections.connect(seconds)
            self._channels.clear()
            drivers.tell(self._seat.connection, self._news.append)
            missing = {channel_of(queue) for queue in queues}
        if missing:
            for channel in sorted(missing):
                connections.on(self._seat, Link.run, f'LISTEN "{channel}"')
            self._channels |= missing

    def sleep(self, seconds: float) -> bool:
        """Sleep until something is heard, or rung (True)."""
        poll = poller()
        poll.register(self.reader, READABLE)
        if self._seat is not None:
            if self._news or drivers.heard(self._seat.connection):
                self._news.clear()
                return False
            poll.register(self._seat.connection.fileno(), READABLE)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            events = poll.poll(left * 1000 + 1)
            if any(number == self.reader for number, _ in events):
                os.read(self.reader, 4096)
                return True
            if events and self._seat is not None and drivers.heard(self._seat.connection):
                return False
        return False


class Waiters:
    """All places for waiting of one Storage object; every running wait has one."""

    def __init__(self, *, listens: bool, longest_pause: float | None = None) -> None:
        self._listens = listens
        self._longest = LONGEST_PAUSE if longest_pause is None else longest_pause
        self._free: list[Waiter] = []
        self._waiting: set[Waiter] = set()
        self._rung = False

    def ring(self) -> None:
        """End all running waits; if there is none, the next. From any thread or signal handler."""
        self._rung = True
        for waiter in list(self._waiting):
            waiter.ring()

    def close(self) -> None:
        """End all waits and all listening."""
        self.ring()
        while self._free:
            self._free.pop().close()

    def discard(self) -> None:
        """Leave all connections to the parent process."""
        for waiter in [*self._free, *self._waiting]:
            waiter.abandon()
        self._free, self._waiting, self._rung = [], set(), False

    def wait(self, connections: Connections, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues has a ready record; None: somebody rang."""
        try:
            waiter = self._free.pop()
        except IndexError:
            waiter = Waiter()
        self._waiting.add(waiter)
        try:
            if self._rung:
                self._rung = False
                return None
            return self._wait(waiter, connections, queues, seconds)
        except BaseException as failure:
            waiter.close()
            problem = translate(failure, connections.place) if _is_drivers(failure) else failure
            if isinstance(problem, errors.ConnectionLost):
                connections.close_idle()  # whoever ended this one has ended them as well
            if problem is failure:
                raise
            raise problem from failure
        finally:
            self._waiting.discard(waiter)
            if connections.is_open:
                self._free.append(waiter)
            else:
                waiter.close()

    def _wait(
        self, waiter: Waiter, connections: Connections, queues: Sequence[str], seconds: float
    ) -> Sequence[str] | None:
        end = time.monotonic() + seconds
        pause = min(FIRST_PAUSE, self._longest)
        while True:
            if self._listens and queues and seconds > 0:
                waiter.listen(connections, queues, max(1.0, end - time.monotonic()))
            ready = waiter.look(connections, queues) if queues else ()
            if ready:
                return ready
            left = end - time.monotonic()
            if left <= 0:
                return ()
            if waiter.sleep(min(left, LOOK_ANYWAY if self._listens or not queues else pause)):
                self._rung = False
                return None
            pause = min(pause * GROWTH, self._longest)


def _is_drivers(failure: BaseException) -> Any:
    return type(failure).__module__.partition(".")[0] in {"psycopg", "psycopg2", "pymysql", "sqlite3", "MySQLdb"}
