"""Signals and events between threads.

Nothing here takes a lock that a signal handler, or a destructor run by the garbage collector, could find taken by the
very code it interrupted; so `notify` and `set` may be called from there too.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from time import monotonic

_SLICE = 0.5
"""Seconds after which a sleeping thread looks for itself: a handler runs then even if another thread got the signal
(PEP 475), and a notification that an exception cut short is made up for."""


class Signal:
    """Something may have changed: look again.

    Take a `ticket`, look, and `wait` with that ticket: a `notify` since then, however early, ends the wait.
    """

    __slots__ = ("_parked", "_slice", "_ticket")

    def __init__(self, longest_sleep: float = _SLICE) -> None:
        self._slice = longest_sleep
        self._ticket = object()
        self._parked: deque[threading.Lock] = deque()

    def ticket(self) -> object:
        """Give what stands for all notifications until now."""
        return self._ticket

    def notify(self) -> None:
        """Wake all who wait, from any thread, signal handler or destructor."""
        # A new object, and not a number: two threads at once cannot undo each other's change.
        self._ticket = object()
        for _ in range(len(self._parked)):
            try:
                parker = self._parked[0]
            except IndexError:
                return
            # First released, then taken out: an exception in between wakes one too often and none too seldom.
            with suppress(RuntimeError):  # another notify has released it
                parker.release()
            with suppress(ValueError):
                self._parked.remove(parker)

    def wait(self, seconds: float, seen: object | None = None) -> bool:
        """Wait until notified since the ticket `seen` (default: since now); False after `seconds` without."""
        if seen is None:
            seen = self._ticket
        deadline = monotonic() + seconds
        parker = threading.Lock()
        parker.acquire()
        try:
            self._parked.append(parker)
            while self._ticket is seen:
                left = min(deadline - monotonic(), self._slice)
                if left <= 0:
                    return False
                parker.acquire(timeout=min(left, threading.TIMEOUT_MAX))
            return True
        finally:
            with suppress(ValueError):
                self._parked.remove(parker)

    def __repr__(self) -> str:
        return f"<Signal that {len(self._parked)} wait for>"


class Event:
    """A flag that can be waited for."""

    __slots__ = ("_flag", "_signal")

    def __init__(self) -> None:
        self._flag = False
        self._signal = Signal()

    def is_set(self) -> bool:
        """Tell whether the flag is set."""
        return self._flag

    def set(self) -> None:
        """Set the flag and wake all who wait, from any thread, signal handler or destructor."""
        self._flag = True
        self._signal.notify()

    def clear(self) -> None:
        """Take the flag away."""
        self._flag = False

    def wait(self, seconds: float) -> bool:
        """Wait until the flag is set; False if it is not after `seconds`."""
        deadline = monotonic() + seconds
        while True:
            seen = self._signal.ticket()
            if self._flag:
                return True
            if not self._signal.wait(deadline - monotonic(), seen):
                return self._flag

    def __repr__(self) -> str:
        return f"<Event {'set' if self._flag else 'not set'}>"
