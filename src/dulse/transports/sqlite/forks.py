"""What a fork must not do to SQLite: a child that inherits an open connection loses the locks and does not know it.

SQLite notes the locks of a process in its memory, and a child inherits that note without the locks. Whatever the child
then opens on the same file relies on them: its commits can vanish when the parent closes (tried: they do). So the
connections of the parent are closed just before every fork, and made again when they are needed. One that is in use
and does not come to rest in time stays open; the child then refuses that file for good.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
import weakref
from typing import Final, Protocol

__all__ = ["abandon", "is_inherited", "watch"]

PATIENCE: Final = 2.0
"""Seconds that a fork waits for statements under way in other threads."""


class Forkable(Protocol):
    """Whoever has connections."""

    def pause(self, seconds: float) -> None:
        """Close what is open and hold back what would open again."""

    def resume(self) -> None:
        """Go on, in the parent."""

    def begin_child(self) -> None:
        """Begin anew, in the child."""


_lock = threading.RLock()
_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_inherited: set[tuple[int, int]] = set()
_paused: list[Forkable] = []


def watch(forkable: Forkable) -> None:
    """Have `forkable` told of every fork from now on."""
    with _lock:
        _watched.add(forkable)


def abandon(connection: sqlite3.Connection, identity: tuple[int, int]) -> None:
    """Leave a parent's connection alone for ever: closing it here could end what the parent is doing."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    _inherited.add(identity)


def is_inherited(identity: tuple[int, int]) -> bool:
    """Tell whether this process inherited an open connection to the file, so that it cannot safely use it."""
    return identity in _inherited


def _before() -> None:
    _lock.acquire()
    for forkable in list(_watched):
        _paused.append(forkable)
        forkable.pause(PATIENCE)


def _after_in_parent() -> None:
    while _paused:
        _paused.pop().resume()
    _lock.release()


def _after_in_child() -> None:
    global _lock  # noqa: PLW0603 - the old one belongs to a thread of the parent
    _lock = threading.RLock()
    _paused.clear()
    for forkable in list(_watched):
        forkable.begin_child()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
