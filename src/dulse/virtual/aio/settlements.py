"""Deliveries that were settled and are not yet deleted from the store: written in batches, late ones reported."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from dulse import errors
from dulse.links.waiting.aio import Mutex, Signal
from dulse.model.records import Token
from dulse.virtual.storage import AsyncStorage

logger = logging.getLogger("dulse.virtual")

OVERDUE = 0.002
"""Seconds after which settled deliveries are written before another message is handed over."""

UNDONE = (Exception, KeyboardInterrupt, SystemExit)
"""After these a write is repeated; a cancelled one goes on by itself."""


class Settlements:
    """What one owner has settled. `on_first` is called when there begins to be something to write."""

    def __init__(self, storage: AsyncStorage, owner: str, mutex: Mutex, on_first: Callable[[], None]) -> None:
        self._storage = storage
        self._owner = owner
        self._mutex = mutex
        self._on_first = on_first
        self.tokens: list[Token] = []
        """What is to be written; look, and leave it to the methods."""
        self._writing = 0
        self._written = Signal()
        self.due = 0.0
        """When they are written before another message is handed over, on time.monotonic()."""

    def __repr__(self) -> str:
        return f"<Settlements: {len(self.tokens)} to write>"

    def add(self, token: Token) -> None:
        """Have a record deleted with the next write, within some milliseconds; the caller holds the mutex."""
        tokens = self.tokens
        is_first = not tokens
        tokens.append(token)
        if is_first:
            self.due = time.monotonic() + OVERDUE
            self._on_first()

    def take(self) -> list[Token]:
        """Give what is to be written, to whoever writes it now; the caller holds the mutex."""
        tokens, self.tokens = self.tokens, []
        return tokens

    async def write(self, until: float | None = None) -> None:
        """Delete what was settled so far."""
        with self._mutex:
            tokens = self.take()
            self._writing += bool(tokens)
        if not tokens:
            return
        try:
            lost = await self._storage.settle(tokens, self._owner, until=until)
        except UNDONE:
            self.restore(tokens)
            raise
        finally:
            with self._mutex:
                self._writing -= 1
            self._written.notify()
        self.report_lost(lost)

    async def flush(self, until: float) -> None:
        """Delete what was settled so far, also what others are writing just now. Raises StorageBusy."""
        while True:
            ticket = self._written.ticket()
            await self.write(until)
            if not self._writing:
                return
            if not await self._written.wait(until - time.monotonic(), ticket):
                text = "what was acknowledged is still being written: look for what holds the store, or allow more time"
                raise errors.make(errors.StorageBusy, text)

    def restore(self, tokens: Sequence[Token]) -> None:
        """Have records deleted with a later write, since this one failed."""
        with self._mutex:
            for token in tokens:
                self.add(token)

    def report_lost(self, tokens: Sequence[Token]) -> None:
        """Tell of records that were settled when they were no longer ours."""
        if tokens:
            logger.warning(
                "%d messages were settled too late: their lease had ended and they were delivered to others "
                "(raise the option 'lease', or look for what stopped this process)",
                len(tokens),
            )
