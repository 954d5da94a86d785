"""Looking at queues, and emptying them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from dulse.links.clocks import wall_ms
from dulse.model.records import Depth, Peeked
from dulse.transports.sqlite.taking import HEADS, TAKE_HEADS

__all__ = ["count_ready", "data_version", "depth", "drop", "has_ready", "peek", "purge", "ready_queues"]

IS_READY: Final = "SELECT 1 FROM ready WHERE queue = ? LIMIT 1"
TALLY: Final = "SELECT count, bytes FROM tally WHERE queue = ?"
COUNT: Final = "SELECT count(*), coalesce(sum(size), 0) FROM ready WHERE queue = ?"
COUNT_LEASED: Final = "SELECT queue, count(*) FROM leased GROUP BY queue"
COUNT_DELAYED: Final = "SELECT queue, count(*) FROM delayed GROUP BY queue"
COUNT_READY: Final = "SELECT count(*) FROM ready WHERE queue = ?"
LAST_OF_STEP: Final = "SELECT rank, id FROM ready WHERE queue = ? ORDER BY rank, id LIMIT 1 OFFSET ?"
PURGE_HEADS: Final = "DELETE FROM record WHERE id IN (SELECT id FROM ready WHERE queue = ? AND (rank, id) <= (?, ?))"
PURGE: Final = "DELETE FROM record WHERE id IN (SELECT id FROM ready WHERE queue = ?)"
PURGE_READY: Final = "DELETE FROM ready WHERE queue = ?"
DROP: Final = (
    PURGE,
    PURGE_READY,
    "DELETE FROM record WHERE id IN (SELECT id FROM leased WHERE queue = ?)",
    "DELETE FROM record WHERE id IN (SELECT id FROM delayed WHERE queue = ?)",
    "DELETE FROM delayed WHERE queue = ?",
    "DELETE FROM tally WHERE queue = ?",
)
AT_ONCE: Final = 256
"""Queues looked at by one statement."""


def _ready_of_many(count: int) -> str:
    names = ", ".join(["(?)"] * count)
    return f"SELECT column1 FROM (VALUES {names}) WHERE EXISTS (SELECT 1 FROM ready WHERE queue = column1)"  # noqa: S608 - no input


_READY_OF_MANY: Final = {count: _ready_of_many(count) for count in (2, 4, 8, 16, 32, 64, 128, AT_ONCE)}


def has_ready(connection: sqlite3.Connection, queue: str) -> bool:
    """Tell whether a queue has a ready record."""
    return connection.execute(IS_READY, (queue,)).fetchone() is not None


def ready_queues(connection: sqlite3.Connection, queues: Sequence[str]) -> list[str]:
    """Give those of the queues that have a ready record, in the given order."""
    if len(queues) == 1:
        return list(queues) if has_ready(connection, queues[0]) else []
    found: dict[str, None] = {}
    for start in range(0, len(queues), AT_ONCE):
        part = queues[start : start + AT_ONCE]
        size = next(size for size in _READY_OF_MANY if size >= len(part))
        # Few different statements, so that all stay prepared; a name asked for twice is found once.
        names = [*part, *[part[-1]] * (size - len(part))]
        found.update((name, None) for (name,) in connection.execute(_READY_OF_MANY[size], names).fetchall())
    return list(found)


def data_version(connection: sqlite3.Connection) -> int:
    """Give a number that another connection's commit changes."""
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


def depth(connection: sqlite3.Connection, queues: Sequence[str]) -> list[Depth]:
    """Count what each queue holds."""
    leased = dict(connection.execute(COUNT_LEASED).fetchall())
    delayed = dict(connection.execute(COUNT_DELAYED).fetchall())
    found = []
    for queue in queues:
        counted = connection.execute(TALLY, (queue,)).fetchone()
        count, size = counted or connection.execute(COUNT, (queue,)).fetchone()
        found.append(Depth(count, leased.get(queue, 0), delayed.get(queue, 0), size))
    return found


def peek(connection: sqlite3.Connection, queue: str, count: int) -> list[Peeked]:
    """Look at the records that come next."""
    now = wall_ms()
    return [
        Peeked(payload, deliveries, max(0, now - since), None if dies is None else dies - since)
        for _, _, deliveries, since, dies, payload in connection.execute(HEADS, (queue, max(0, count))).fetchall()
    ]


def count_ready(connection: sqlite3.Connection, queue: str) -> int:
    """Count the ready records of a queue."""
    number: int = connection.execute(COUNT_READY, (queue,)).fetchone()[0]
    return number


def purge(connection: sqlite3.Connection, queue: str, limit: int) -> int:
    """Delete up to `limit` ready records of a queue, those that come next; gives their number."""
    last = connection.execute(LAST_OF_STEP, (queue, limit - 1)).fetchone()
    if last is None:
        purged = connection.execute(PURGE, (queue,)).rowcount
        connection.execute(PURGE_READY, (queue,))
    else:
        purged = connection.execute(PURGE_HEADS, (queue, *last)).rowcount
        connection.execute(TAKE_HEADS, (queue, *last))
    return purged


def drop(connection: sqlite3.Connection, queue: str) -> None:
    """Delete a queue's records, whatever became of them."""
    for statement in DROP:
        connection.execute(statement, (queue,))
