"""What the calling thread is in the middle of.

A signal's handler, or a finalizer, may use the storage while its own thread has a transaction open. On SQLite it would
wait for a lock that nobody can give back before it returns: so that transaction is undone, and done again afterwards.
Elsewhere that concerns rows only, and `is_within` tells who should do without a lock on one.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

from dulse.transports.sql.link import Link

__all__ = ["Step", "begin_again", "enter", "has_begun", "is_within", "leave", "undo"]


class Step(Protocol):
    """One connection with a transaction open."""

    place: str
    process: int
    is_undone: bool
    """Somebody came in between and undid it."""
    connection: Any
    """As of the module sqlite3."""
    link: Link


class _Thread(threading.local):
    def __init__(self) -> None:
        self.steps: weakref.WeakSet[Step] = weakref.WeakSet()
        """An exception of a handler may come before one is left, and lets go of its connection then."""


_here = _Thread()


def enter(step: Step) -> None:
    """Know that the calling thread is about to begin a transaction."""
    step.is_undone = False
    _here.steps.add(step)


def leave(step: Step) -> None:
    """Know that it is over."""
    _here.steps.discard(step)


def is_within(place: str) -> bool:
    """Tell whether this thread has a transaction of ours open in a database."""
    return any(step.place == place and step.process == os.getpid() for step in list(_here.steps))


def undo(place: str) -> Sequence[Step]:
    """Undo what this thread has begun in a database; gives what `begin_again` has to be called with."""
    undone = []
    for step in list(_here.steps):
        if step.place == place and step.process == os.getpid() and has_begun(step):
            _roll_back(step)
            step.is_undone = True
            undone.append(step)
    return undone


def _roll_back(step: Step) -> None:
    """End a transaction by the cursor that it uses: rows that are still to be fetched there would keep a lock."""
    try:
        step.link.run("ROLLBACK")
    except sqlite3.ProgrammingError:  # by a finalizer, in the midst of a call of that cursor
        step.connection.execute("ROLLBACK")


def begin_again(steps: Sequence[Step]) -> None:
    """Have what is left of undone work not committed statement by statement, until it is done again."""
    for step in steps:
        if not has_begun(step):
            step.connection.execute("BEGIN")


def has_begun(step: Step) -> bool:
    """Tell whether a step is in a transaction."""
    try:
        return bool(step.connection.in_transaction)
    except sqlite3.ProgrammingError:  # the connection is closed
        return False
