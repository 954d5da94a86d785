"""Deliveries that were settled and are not yet deleted from the store: written in batches, late ones reported."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dulse import errors
from dulse.links.waiting.aio import Mutex, Signal
from dulse.model.records import Token
from dulse.virtual.storage import AsyncStorage

if TYPE_CHECKING:
    from dulse.virtual.aio.upkeep import Upkeep

logger = logging.getLogger("dulse.virtual")

OVERDUE = 0.002
"""Seconds after which settled deliveries are written before another message is handed over."""


class Settlements:
    """What one owner has settled."""

    def __init__(self, storage: AsyncStorage, owner: str, mutex: Mutex, upkeep: Upkeep) -> None:
        self._storage = storage
        self._owner = owner
        self._mutex = mutex
        self._upkeep = upkeep
        self.tokens: list[Token] = []
        """What is to be written; look, and leave it to the methods."""
        self._writing: dict[int, list[Token]] = {}
        """What is being written, and what was when the writer was cut short."""
        self._doubtful: set[Token] = set()
        """What may have been written by a call that failed or was cancelled, or is being written twice."""
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
            self._upkeep.settle_soon()

    def take(self, *, again: bool = False) -> list[Token]:
        """Give what is to be written, to whoever writes it now and says `written` or `restore` then.

        `again` gives what others are writing just now as well: who is handed more in the same step would else hold both
        for a moment, and a kill in that moment would have more delivered again than the prefetch allows. The caller
        holds the mutex.
        """
        tokens = self.tokens
        if again and self._writing:
            twice = self._being_written()
            self._doubtful.update(twice)
            tokens += twice.difference(tokens)  # which does no harm if a signal's handler raises after it
        if not tokens:
            return []
        self._writing[id(tokens)], self.tokens = tokens, []  # one step: no signal's handler runs within it
        return tokens

    def _being_written(self) -> set[Token]:
        return {token for part in list(self._writing.values()) for token in part}  # others take theirs out meanwhile

    def clear(self) -> None:
        """Write nothing of what was settled so far: it is not ours any more; the caller holds the mutex."""
        self.tokens = []
        self._writing.clear()

    async def write(self, until: float | None = None) -> None:
        """Delete what was settled so far."""
        with self._mutex:
            tokens = self.take()
        if not tokens:
            return
        try:
            lost = await self._storage.settle(tokens, self._owner, until=until)
        except BaseException:
            self.restore(tokens)
            raise
        self.written(tokens, lost)

    def written(self, tokens: list[Token], lost: Sequence[Token]) -> None:
        """Know that the store has deleted all of these but the `lost` ones."""
        self._writing.pop(id(tokens), None)
        self._written.notify()
        self.report_lost(lost)
        if self._doubtful:
            with self._mutex:
                self._doubtful.difference_update(set(tokens) - self._being_written())

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

    def restore(self, tokens: list[Token]) -> None:
        """Have records deleted with a later write, since nobody knows what became of this one."""
        with self._mutex:
            if self._writing.pop(id(tokens), None) is None:
                return
            self._doubtful.update(tokens)
            waiting = set(self.tokens)
            for token in tokens:
                if token not in waiting:
                    self.add(token)
        self._written.notify()

    def known(self) -> tuple[set[Token], list[list[Token]]]:
        """Give all that is to be deleted, and the parts that are being written; the caller holds the mutex."""
        parts = list(self._writing.values())
        return {token for part in [self.tokens, *parts] for token in part}, parts

    def report_lost(self, tokens: Sequence[Token]) -> None:
        """Tell of records that were settled when they were no longer ours; those of deleted queues are no news."""
        tokens = [token for token in tokens if token not in self._doubtful]
        if tokens and self._upkeep.may_have_died():
            logger.warning(
                "%d messages were settled too late: their lease had ended and they were delivered to others "
                "(raise the option 'lease', or look for what stopped this process)",
                len(tokens),
            )
