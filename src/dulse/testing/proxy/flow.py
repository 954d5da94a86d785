"""What one direction of the proxied path does with bytes: pass, hold or drop them, at some rate."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable

SLICES_PER_SECOND = 20
"""A slow path sends this often, so that it trickles instead of coming in bursts."""


class Direction(enum.Flag):
    """Which way bytes go."""

    TO_SERVER = enum.auto()
    TO_CLIENT = enum.auto()
    BOTH = TO_SERVER | TO_CLIENT


class Mode(enum.Enum):
    """What happens to bytes that come in."""

    PASS = enum.auto()
    HOLD = enum.auto()
    DROP = enum.auto()


class Flow:
    """One direction, shared by all connections as a network path is; used on the proxy's own thread only."""

    def __init__(self) -> None:
        self.mode = Mode.PASS
        self.moved = 0
        self.dropped = 0
        self._rate: float | None = None
        self._left: int | None = None
        self._exhausted: Callable[[], None] | None = None
        self._free_at = 0.0
        self._changed = asyncio.Event()

    def set(self, mode: Mode, rate: float | None = None) -> None:
        """Treat bytes in another way from now on, also those that are being held."""
        self.mode, self._rate, self._free_at = mode, rate, 0.0
        self._announce()

    def limit(self, count: int | None, exhausted: Callable[[], None] | None = None) -> None:
        """Let exactly `count` more bytes pass and then call `exhausted`; None: no limit."""
        self._left, self._exhausted = count, exhausted
        self._announce()
        self._check_limit()

    async def allow(self, wanted: int) -> int:
        """Wait until bytes may pass and give how many of the `wanted`; 0: drop them."""
        loop = asyncio.get_running_loop()
        while self.mode is not Mode.DROP:
            if self.mode is Mode.HOLD or self._left == 0:
                await self._change(None)
            elif self._rate is None:
                return self._within_limit(wanted)
            elif (delay := self._free_at - loop.time()) > 0:
                await self._change(delay)
            else:
                count = self._within_limit(min(wanted, max(1, int(self._rate / SLICES_PER_SECOND))))
                self._free_at = loop.time() + count / self._rate
                return count
        return 0

    def count(self, moved: int) -> None:
        """Take note of bytes that have passed."""
        self.moved += moved
        self._check_limit()

    def _within_limit(self, wanted: int) -> int:
        if self._left is None:
            return wanted
        count = min(wanted, self._left)
        self._left -= count
        return count

    def _check_limit(self) -> None:
        if self._left == 0 and self._exhausted is not None:
            exhausted, self._exhausted = self._exhausted, None
            exhausted()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self, at_most: float | None) -> None:
        changed = self._changed
        try:
            async with asyncio.timeout(at_most):
                await changed.wait()
        except TimeoutError:
            return
