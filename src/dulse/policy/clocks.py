"""What time it is: the system's clock, or one that a test moves by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from dulse import errors


class Clock(Protocol):
    """Where a Connection takes every timestamp and deadline from."""

    def monotonic(self) -> float:
        """Give seconds from an unknown beginning; never goes back."""
        ...

    def time(self) -> float:
        """Give seconds since 1970-01-01 00:00 UTC."""
        ...

    def on_advance(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have `callback` called after each jump of this clock; gives a function that ends it.

        Whoever waits until a time of this clock wakes at the jump and looks again: a wait ends when its time is over on
        this clock or in the real world, whichever is first. A clock that does not jump never calls back.
        """
        ...


class SystemClock:
    """The clock of the system."""

    __slots__ = ()

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def on_advance(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Do nothing: the system's clock goes by itself."""
        return _nothing

    def __repr__(self) -> str:
        return "<SystemClock>"


class VirtualClock:
    """A clock that stands still until it is advanced, for tests.

    `start` is the time since 1970 at which it begins. Any number of threads may read and advance it.
    """

    def __init__(self, start: float = 1_000_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._mutex = threading.RLock()  # re-entrant: a destructor run by the collector may unsubscribe
        self._callbacks: dict[object, Callable[[], object]] = {}

    def monotonic(self) -> float:
        """Give the seconds by which the clock has been advanced so far."""
        return self._elapsed

    def time(self) -> float:
        """Give the time since 1970 that the clock shows."""
        return self._start + self._elapsed

    def advance(self, seconds: float) -> None:
        """Go on by so many seconds, then call back all who asked for it, on this thread."""
        if not seconds >= 0:
            raise errors.make(errors.InvalidArgument, f"A clock cannot go on by {seconds} seconds: it never goes back")
        with self._mutex:
            self._elapsed += seconds
        self._call_back()

    def advance_to(self, monotonic: float) -> None:
        """Go on until `monotonic()` is that; an earlier time changes nothing."""
        with self._mutex:
            self._elapsed = max(self._elapsed, monotonic)
        self._call_back()

    def on_advance(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have `callback` called after each advance, on the thread that advances; gives a function that ends it."""
        key = object()
        with self._mutex:
            self._callbacks[key] = callback

        def unsubscribe() -> None:
            with self._mutex:
                self._callbacks.pop(key, None)

        return unsubscribe

    def _call_back(self) -> None:
        with self._mutex:
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def __repr__(self) -> str:
        return f"<VirtualClock at {self.time():.3f}, advanced by {self._elapsed:.3f} s>"


def _nothing() -> None:
    """Have nothing to end."""
