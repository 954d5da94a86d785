"""Keeps the deadline of every call: what the server does not end in time is cancelled, and then cut off.

A call that takes long may wait for a lock, or for a server that nothing reaches any more. Which of both is found by
connecting once more: if that fails, the call ends early.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Watch", "Watched"]

TICK: Final = 0.05
IDLE_TICKS: Final = 40
"""Looks at nothing until the thread ends: busy programs never pay for another."""

PROBE_AFTER: Final = 2.0
"""Seconds until a call makes us see whether the server can still be reached."""

GRACE: Final = 1.0
"""Seconds from asking the server to give up until the connection is cut."""


class Watched:
    """One connection at work.

    `cancel` asks the server to give up, `cut` ends all reading and writing at once, `reaches` connects once more and
    tells, within a few seconds, whether that worked.
    """

    def __init__(self, cancel: Callable[[], None], cut: Callable[[], None], reaches: Callable[[], bool]) -> None:
        self._cancel = cancel
        self._cut = cut
        self._reaches = reaches
        self._call = 0
        self._probe_at = math.inf
        self._lock = threading.Lock()
        self.end = math.inf
        self.is_late = False
        """Whether the last call did not end in time: the server may still cancel what comes next."""
        self.is_cut = False

    def check(self, now: float) -> None:
        """Cancel or cut what is late; in the watching thread."""
        with self._lock:
            if now >= self._probe_at:
                self._probe_at = math.inf
                _begin(self._probe, self._call)
            if now < self.end:
                return
            if not self.is_late:
                self.is_late = True
                _begin(self._cancel)  # the server may be as silent to this as to the call
            elif not self.is_cut and now >= self.end + GRACE:
                self.is_cut = True
                self._cut()

    def _probe(self, call: int) -> None:
        """Cut a call that nothing will answer."""
        if self._reaches():
            return
        with self._lock:
            if self._call == call and self.end != math.inf:
                self.is_late = self.is_cut = True
                self._cut()

    def enter(self, end: float) -> None:
        """Begin a call."""
        self._call += 1
        self._probe_at = time.monotonic() + PROBE_AFTER
        self.end = end

    def leave(self) -> None:
        """End a call: nothing that is begun later is cancelled."""
        with self._lock:
            self.end = self._probe_at = math.inf


class Watch:
    """The thread of one Storage that looks after its calls; it ends some time after the last of them."""

    def __init__(self) -> None:
        self._running: set[Watched] = set()
        self._lock = threading.Lock()
        self._is_looking = False

    def enter(self, watched: Watched, end: float) -> None:
        """Begin a call that has to end by then."""
        watched.enter(end)
        self._running.add(watched)
        if not self._is_looking:
            with self._lock:
                if not self._is_looking:
                    threading.Thread(target=self._run, name="dulse-sql-watch", daemon=True).start()
                    self._is_looking = True

    def leave(self, watched: Watched) -> None:
        """End a call."""
        watched.leave()
        self._running.discard(watched)

    def _run(self) -> None:
        idle = 0
        while True:
            time.sleep(TICK)
            now = time.monotonic()
            running = list(self._running)
            for watched in running:
                watched.check(now)
            idle = 0 if running else idle + 1
            if idle > IDLE_TICKS:
                self._is_looking = False
                if not self._running:
                    return
                with self._lock:
                    if self._is_looking:  # who entered just now has begun another
                        return
                    self._is_looking = True


def _begin(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name="dulse-sql-rescue", daemon=True).start()
