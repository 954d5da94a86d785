"""What holds a link to somewhere: it is forgotten in a forked child, and closed at the end of the process."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from threading import RLock
from time import monotonic
from typing import Protocol
from weakref import WeakSet

from dulse.links.waiting.aio import eagerly

EXIT_TIMEOUT = 5.0
"""Seconds that all closing at the end of a process may take."""

_FINALIZERS = ("multiprocessing.util", "billiard.util")
"""Where child processes of these packages keep what is to be done at their end: they run no exit handlers."""

_logger = logging.getLogger(__name__)


class Inherited(Protocol):
    """What a forked child inherits and must not use."""

    def after_fork(self) -> None:
        """Let go of what belongs to the parent, without I/O; called before anything else runs in the child."""
        ...


class Closable(Protocol):
    """What has to be closed at the end of the process."""

    async def close(self, timeout: float | None = None) -> None:
        """Close within so many seconds."""
        ...


class Lifetimes:
    """Knows, without keeping them alive, what is to be forgotten after a fork and closed at the end."""

    def __init__(self) -> None:
        self._mutex = RLock()
        self._inherited: WeakSet[Inherited] = WeakSet()
        self._open: WeakSet[Closable] = WeakSet()
        self._finalized: set[str] = set()

    def forget_after_fork(self, holder: Inherited) -> None:
        """Call `holder.after_fork` in each forked child."""
        with self._mutex:
            self._inherited.add(holder)

    def close_at_exit(self, holder: Closable) -> None:
        """Close `holder` at the end of the process, in the blocking form; tasks end with their loop before that."""
        with self._mutex:
            self._open.add(holder)
            for name in _FINALIZERS:
                module = sys.modules.get(name)
                if module is not None and name not in self._finalized:
                    self._finalized.add(name)
                    module.Finalize(None, self.close_now, exitpriority=10)

    def closed(self, holder: Closable) -> None:
        """Close `holder` no more."""
        with self._mutex:
            self._open.discard(holder)

    def close_now(self) -> None:
        """Close everything that is open."""
        eagerly(self._close_all)

    async def _close_all(self) -> None:
        deadline = monotonic() + EXIT_TIMEOUT
        with self._mutex:
            holders = list(self._open)
            self._open.clear()
        for holder in holders:
            try:
                await holder.close(max(0.0, deadline - monotonic()))
            except Exception:
                _logger.exception("%r could not be closed at the end of the process", holder)

    def before_fork(self) -> None:
        """Let no other thread be in the middle of a change."""
        self._mutex.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._mutex.release()

    def after_fork_in_child(self) -> None:
        """Have all forget what belongs to the parent."""
        self._mutex = RLock()
        self._open.clear()
        self._finalized.clear()
        for holder in list(self._inherited):
            try:
                holder.after_fork()
            except Exception:
                _logger.exception("%r could not let go of what its process inherited", holder)


lifetimes = Lifetimes()

atexit.register(lifetimes.close_now)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lifetimes.before_fork,
        after_in_parent=lifetimes.after_fork_in_parent,
        after_in_child=lifetimes.after_fork_in_child,
    )
