"""Keeps the deadline of every call: what the server does not end in time is cancelled, and then cut off."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Watch", "Watched"]

TICK: Final = 0.05
IDLE_TICKS: Final = 40
"""Looks at nothing until the thread sleeps: busy programs never pay for waking it."""

GRACE: Final = 1.0
"""Seconds from asking the server to give up until the connection is cut."""


class Watched:
    """One connection at work. `cancel` asks the server to give up, `cut` ends all reading and writing at once."""

    def __init__(self, cancel: Callable[[], None], cut: Callable[[], None]) -> None:
        self._cancel = cancel
        self._cut = cut
        self._lock = threading.Lock()
        self.end = math.inf
        self.is_late = False
        """Whether the last call did not end in time: the server may still cancel what comes next."""
        self.is_cut = False

    def check(self, now: float) -> None:
        """Cancel or cut what is late; in the watching thread."""
        with self._lock:
            if now < self.end:
                return
            if not self.is_late:
                self.is_late = True
                # The server may be as silent to this as to the call.
                threading.Thread(target=self._cancel, name="dulse-sql-cancel", daemon=True).start()
            elif not self.is_cut and now >= self.end + GRACE:
                self.is_cut = True
                self._cut()

    def leave(self) -> None:
        """End a call: nothing that is begun later is cancelled."""
        with self._lock:
            self.end = math.inf


class Watch:
    """The thread of one Storage that looks after its calls; started by the first of them."""

    def __init__(self) -> None:
        self._running: set[Watched] = set()
        self._work = threading.Event()
        self._thread: threading.Thread | None = None

    def enter(self, watched: Watched, end: float) -> None:
        """Begin a call that has to end by then."""
        watched.end = end
        self._running.add(watched)
        if not self._work.is_set():
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dulse-sql-watch", daemon=True)
                self._thread.start()
            self._work.set()

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
                self._work.clear()
                if not self._running:  # nobody has entered before it was clear
                    self._work.wait()
                self._work.set()
                idle = 0
