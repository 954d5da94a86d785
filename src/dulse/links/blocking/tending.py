"""What the keeper does for a blocking link that nobody uses just now: confirms, acknowledgements, heartbeats."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from dulse.amqp.life import Status
from dulse.links.blocking import turns
from dulse.links.blocking.line import Line
from dulse.links.blocking.sending import has_unsent

if TYPE_CHECKING:
    from dulse.links.blocking.link import Link
    from dulse.links.blocking.port import Port

TICK = 0.005
"""Seconds between two looks while something is in flight."""

_TICK_OF_MANY = 0.02
"""The same while a great deal is on its way and nothing to be acknowledged: those who are busy read by themselves."""

_MANY = 50
"""Messages between two looks that are a great deal."""

_REST = 1.0
"""The same at most while nothing is."""

_QUIET = 20
"""Looks in a row without any change or anything in flight, after which it rests."""

_MOST_READY = 1000
"""Deliveries that wait for the program, from which on no more are read for it."""


class Tending:
    """The keeper's duty for one link.

    While callers are busy it only has the next publish read the confirms; where nobody came for a whole tick it sends
    what was collected and reads by itself. So the ways of messages have no clock, and never wake it but from a rest.
    """

    def __init__(self, link: Link, line: Line) -> None:
        self._link = link
        self._line = line
        self._due = monotonic() + TICK
        self._seen: tuple[object, ...] = ()
        self._last = self._moved = 0
        self._tick = TICK
        self._quiet = 0

    def __repr__(self) -> str:
        return f"<Tending of {self._link!r}>"

    def wake(self) -> None:
        """Be due a tick from now."""
        self._due = monotonic() + TICK

    def due(self) -> float:
        """Give when it is due; see Duty."""
        return inf if self._line.status in {Status.CLOSED, Status.LOST} else self._due

    def run(self) -> None:
        """Look after the link; see Duty."""
        line = self._line
        busy = self._look()
        if not busy and line.status is Status.OPEN:
            self._serve()
        if line.endings or line.problems or line.notices:
            self._link.attend()
        self._plan(busy=busy)

    def _look(self) -> bool:
        """Tell whether callers came since the last look; then the next publish reads the confirms."""
        line = self._line
        with line.lock:
            waiting = sum(len(port.window) for port in line.ports.values())
            last = sum(port.window.last for port in line.ports.values())
            newest = sum(port.acks.newest for port in line.ports.values())
            seen = (last, waiting, newest, line.reads, len(line.ready))
            busy, self._seen = seen != self._seen, seen
            if busy and (waiting or last != self._last):
                line.spend()
            if line.engine is not None and last != self._last:
                line.engine.has_spoken = True  # to have read is not: a peer that hears nothing ends the connection
            many = last + newest - self._moved >= _MANY
            self._tick = _TICK_OF_MANY if many and not any(map(_may_settle, line.ports.values())) else TICK
            self._last, self._moved = last, last + newest
        return busy

    def _serve(self) -> None:
        """Send what was collected, and read what there is."""
        line = self._line
        turns.push_now(line, self._link.broke)
        if len(line.ready) < _MOST_READY:
            turns.glance(line, self._link.broke)

    def _plan(self, *, busy: bool) -> None:
        line = self._line
        now = monotonic()
        rest = _REST
        with line.lock:
            engine = line.engine
            if line.status is Status.OPEN and engine is not None:
                unread = len(line.ready) >= _MOST_READY and line.reader is None
                if unread and line.stream is not None and line.stream.wait(0):
                    engine.has_heard = True
                engine.tick(now)
                if engine.heartbeat:
                    rest = min(_REST, engine.heartbeat / 4)
                if engine.closed:
                    line.failure = line.failure or engine.error
            in_flight = any(port.window.entries for port in line.ports.values()) or line.acked or has_unsent(line)
            self._quiet = 0 if busy or in_flight else self._quiet + 1
            rests = self._quiet >= _QUIET or line.status is not Status.OPEN
            if rests:
                line.is_idle = True
                line.spend()
        self._due = now + (rest if rests else self._tick)
        if line.failure is not None:
            self._link.broke(line.failure)
        elif engine is not None and engine.out:
            turns.push_now(line, self._link.broke)


def _may_settle(port: Port) -> bool:
    """Tell whether the program may acknowledge something soon; under the lock."""
    return port.acks.outstanding > 0 or len(port.acks) > 0 or not all(each.no_ack for each in port.consumers.values())
