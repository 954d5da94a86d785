"""Signals and events for asyncio tasks, which any thread may notify and set."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import suppress
from time import monotonic


class Signal:
    """Something may have changed: look again.

    Take a `ticket`, look, and `wait` with that ticket: a `notify` since then, however early, ends the wait.
    Tasks of several event loops may wait.
    """

    __slots__ = ("_parked", "_ticket")

    def __init__(self) -> None:
        self._ticket = object()
        self._parked: deque[asyncio.Future[None]] = deque()

    def ticket(self) -> object:
        """Give what stands for all notifications until now."""
        return self._ticket

    def notify(self) -> None:
        """Wake all who wait, from any thread, signal handler or destructor."""
        # A new object, and not a number: two threads at once cannot undo each other's change.
        self._ticket = object()
        for _ in range(len(self._parked)):
            try:
                future = self._parked[0]
            except IndexError:
                return
            with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                future.get_loop().call_soon_threadsafe(_end, future)
            with suppress(ValueError):
                self._parked.remove(future)

    async def wait(self, seconds: float, seen: object | None = None) -> bool:
        """Wait until notified since the ticket `seen` (default: since now); False after `seconds` without."""
        if seen is None:
            seen = self._ticket
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        # Not every event loop takes an infinite delay.
        timer = loop.call_later(seconds, _end, future) if seconds < math.inf else None
        try:
            self._parked.append(future)
            if self._ticket is seen:
                await future
            return self._ticket is not seen
        finally:
            with suppress(ValueError):
                self._parked.remove(future)
            if timer is not None:
                timer.cancel()

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

    async def wait(self, seconds: float) -> bool:
        """Wait until the flag is set; False if it is not after `seconds`."""
        deadline = monotonic() + seconds
        while True:
            seen = self._signal.ticket()
            if self._flag:
                return True
            if not await self._signal.wait(deadline - monotonic(), seen):
                return self._flag

    def __repr__(self) -> str:
        return f"<Event {'set' if self._flag else 'not set'}>"


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
