"""Heartbeats of one connection (AMQP 0-9-1 §4.2.7), by a timer of the loop."""

from __future__ import annotations

import asyncio

from dulse import errors
from dulse.amqp import frames
from dulse.links.asynchronous.wire import Wire

_LATE = 0.25
"""Seconds by which a timer shows that the loop was busy: what came meanwhile is read before anybody is called dead."""


class Pulse:
    """Sends a sign of life where nothing else was sent for half an interval; ends a connection silent for two."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._interval = wire.engine.heartbeat
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        if self._interval:
            self._next(wire.loop.time())
            wire.closed.add_done_callback(lambda _: self.stop())

    def __repr__(self) -> str:
        return f"<Pulse: every {self._interval} s, {'beats' if self._timer else 'ended'}>"

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self, now: float) -> None:
        self._due = min(now + self._interval / 2, self._wire.heard_at + 2 * self._interval)
        self._timer = self._wire.loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        wire = self._wire
        now = wire.loop.time()
        if wire.is_paused:
            wire.resume()  # for a moment: to hear whether the peer lives
        silent = now - wire.heard_at
        if silent >= 2 * self._interval:
            if now - self._due > _LATE:
                self._due = now + _LATE
                self._timer = wire.loop.call_at(self._due, self._beat)
                return
            text = f"nothing came for {silent:.1f} s, two heartbeats of {self._interval} s"
            self._timer = None
            wire.end(errors.make(errors.ConnectionLost, text))
            wire.abort()
            return
        engine = wire.engine
        if not engine.has_spoken:
            engine.out.append(frames.HEARTBEAT_FRAME)
            wire.send_out()
        engine.has_spoken = False
        self._next(now)
