"""Lets threads sleep until somebody writes to the file, or somebody wakes them.

One sleeping thread listens, the others wait for its word. Who listens is told by inotify, or looks by itself every few
milliseconds where there is none.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from dulse.links.inotify import Inotify
from dulse.links.polling import READABLE, poller
from dulse.links.waiting.signal_sync import Signal

__all__ = ["Bell"]

LOOK_ANYWAY: Final = 1.0
"""Seconds after which a listener takes it that it might have missed a change (file systems without inotify events)."""

FIRST_PAUSE: Final = 0.002
LONGEST_PAUSE: Final = 0.035
GROWTH: Final = 1.3


class Bell:
    """Any number of threads may wait at once. Only `ring` may be called from a signal handler, which may raise, too."""

    _pipe: tuple[int, ...] = ()

    def __init__(self, path: str, *, push: bool, folders: Sequence[str] = ()) -> None:
        self._pipe = self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._path = path
        self._folders = folders
        """Where files that come count as a change, too."""
        self._push = push
        self._mutex = threading.Lock()
        self._told = Signal()
        self._listening = False
        self._inotify: Inotify | None = None
        self._pause = FIRST_PAUSE
        self._poll = poller()
        self._poll.register(self._reader, READABLE)
        self.changes = 0
        """Counts what was heard of the file."""
        self.last_write = -math.inf
        """When (monotonic) the file was last known to be written to."""
        self.rings = 0
        """Counts the rings."""

    def __del__(self) -> None:
        """Give the descriptors back; not earlier, for `ring` may run at any moment."""
        for descriptor in self._pipe:
            os.close(descriptor)

    @property
    def is_told(self) -> bool:
        """Whether inotify tells of changes, so that nobody need look."""
        return self._push

    def ring(self) -> None:
        """End all waits; if there is none, the next one."""
        with contextlib.suppress(BlockingIOError):  # so full of rings that one more says nothing
            os.write(self._writer, b"\0")

    def now(self) -> int:
        """Give the count of changes up to this moment, to look at the store after it."""
        with self._mutex:
            if not self._listening and self._hears() and self._inotify is not None and self._inotify.read():
                self.changes += 1
                self.last_write = time.monotonic()
            return self.changes

    def wait(self, changes: int, rings: int, until: float, has_changed: Callable[[], bool]) -> None:
        """Wait while the counts are these, at most until that time (monotonic).

        `has_changed` looks whether others wrote to the file; called where inotify is not used.
        """
        while True:
            listens = heard = rung = False
            try:
                with self._mutex:
                    seen = self._told.ticket()
                    left = until - time.monotonic()
                    if self.changes != changes or self.rings != rings or left <= 0:
                        return
                    if not self._listening:
                        self._listening = listens = True
                if listens:
                    heard, rung = self._listen(until, has_changed)
                else:
                    self._told.wait(left, seen)
            finally:
                if listens:  # wherever a signal's handler raised: nobody else would listen any more
                    with self._mutex:
                        self._listening = False
                        self.changes += heard
                        self.rings += rung
                    self._told.notify()

    def _is_armed(self) -> bool:
        return self._inotify is not None and self._inotify.is_armed

    def _hears(self) -> bool:
        """Tell whether inotify will report changes; begin with it at the first wait, and anew for a new file."""
        if self._inotify is None and self._push:
            try:
                self._inotify = Inotify(self._path, self._folders)
            except OSError:
                self._push = False
                return False
            self._poll.register(self._inotify.descriptor, READABLE)
        return self._inotify is not None and (self._inotify.is_armed or self._inotify.arm())

    def _listen(self, until: float, has_changed: Callable[[], bool]) -> tuple[bool, bool]:
        """Listen until something is heard; tells whether the file changed and whether it rang."""
        while True:
            heard_before = self._is_armed()
            hears = self._hears()
            if hears and not heard_before:
                return True, False  # what was written before we listened
            left = until - time.monotonic()
            if left <= 0:
                return False, False
            longest = LOOK_ANYWAY if hears else self._pause
            events = self._poll.poll(min(left, longest) * 1000)
            rung = any(descriptor == self._reader for descriptor, _ in events)
            if rung:
                os.read(self._reader, 4096)
            heard = self._inotify is not None and self._inotify.read()
            if heard:
                self.last_write = time.monotonic()
            if not events:
                heard = left > LOOK_ANYWAY if hears else has_changed()
            if heard or rung:
                self._pause = FIRST_PAUSE
                return heard, rung
            self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)
