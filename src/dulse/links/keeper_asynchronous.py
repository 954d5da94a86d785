"""The keeper for asyncio: one task for each duty, in the event loop that asked for it.

A task costs little, and so a duty that waits for a slow broker holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import weakref
from contextvars import Context
from time import monotonic
from typing import Protocol

from dulse import errors
from dulse.links.waiting.signal_aio import Event, Signal

_logger = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds before a duty that raised is due again, at the earliest."""


class Duty(Protocol):
    """Something to be done again and again, in time. It must allow weak references."""

    def due(self) -> float:
        """Give when it is due, in seconds of `time.monotonic`; `math.inf`: not before a hint. Must not wait."""
        ...

    async def run(self) -> None:
        """Do it."""
        ...


class _Entry:
    __slots__ = ("__weakref__", "changed", "duty", "ended", "not_before", "removed", "task")

    def __init__(self, duty: weakref.ref[Duty]) -> None:
        self.duty = duty
        self.changed = Signal()
        self.ended = Event()
        self.not_before = 0.0
        self.removed = False
        self.task: asyncio.Task[None] | None = None


class Keeper:
    """Serves duties, each held by a weak reference, in tasks of their own.

    `add` belongs into the event loop that is to serve the duty; `hint` may be called from any thread.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}

    def forget(self) -> None:
        """Begin anew without duties: for a forked child, where the parent's loops do not run."""
        self._entries = {}

    async def add(self, duty: Duty) -> None:
        """Serve a duty from now on, until it is removed or nobody else refers to it. One that is served is hinted."""
        key = id(duty)
        if key in self._entries:
            self.hint(duty)
            return
        entry = _Entry(weakref.ref(duty, lambda gone: self._dropped(key, gone)))
        self._entries[key] = entry
        # A context of its own, so that the task keeps nothing alive that belongs to whoever adds the duty.
        entry.task = asyncio.get_running_loop().create_task(
            self._serve(key, entry), name="dulse-keeper", context=Context()
        )

    def hint(self, duty: Duty) -> None:
        """Have the duty asked again when it is due, which may be earlier than it last said. Never waits."""
        entry = self._entries.get(id(duty))
        if entry is not None:
            entry.changed.notify()

    async def remove(self, duty: Duty, seconds: float = 5.0) -> bool:
        """Serve a duty no longer, and wait until it has ended if it is running; False: it still is after `seconds`.

        A duty that removes itself is not waited for.
        """
        entry = self._entries.get(id(duty))
        if entry is None or entry.duty() is not duty:
            return True
        entry.removed = True
        entry.changed.notify()
        return asyncio.current_task() is entry.task or await entry.ended.wait(seconds)

    def __repr__(self) -> str:
        return f"<Keeper {len(self._entries)} duties>"

    def _dropped(self, key: int, gone: weakref.ref[Duty]) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.duty is gone:
            del self._entries[key]
            entry.changed.notify()

    async def _serve(self, key: int, entry: _Entry) -> None:
        try:
            while not entry.removed and entry.duty() is not None:
                seen = entry.changed.ticket()
                left = self._due(entry) - monotonic()
                if left > 0:
                    await entry.changed.wait(left, seen)
                else:
                    await self._run(entry)
        finally:
            if self._entries.get(key) is entry:
                del self._entries[key]
            entry.ended.set()

    def _due(self, entry: _Entry) -> float:
        duty = entry.duty()
        if duty is None:
            return math.inf
        try:
            return max(duty.due(), entry.not_before)
        except Exception:
            _logger.exception("%r could not say when it is due; it is asked again in %s s", duty, _PAUSE)
            entry.not_before = monotonic() + _PAUSE
            return entry.not_before

    async def _run(self, entry: _Entry) -> None:
        duty = entry.duty()
        try:
            if duty is not None:
                await duty.run()
        except errors.OperationalError as problem:  # a broker is away: its words say all
            entry.not_before = monotonic() + _PAUSE
            _logger.warning("%r failed in the background; it is not run again within %s s: %s", duty, _PAUSE, problem)
        except Exception:
            entry.not_before = monotonic() + _PAUSE
            _logger.exception("%r failed in the background; it is not run again within %s s", duty, _PAUSE)
        await asyncio.sleep(0)  # a duty that is always due and never waits must not stop the loop


_keeper = Keeper()


def keeper() -> Keeper:
    """Give the keeper; it serves each duty in the event loop that adds it."""
    return _keeper


os.register_at_fork(after_in_child=_keeper.forget)
