"""What time brings about: delayed records that become ready, and records that outlive their time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from dulse.links.clocks import wall_ms
from dulse.model.records import Swept

__all__ = ["cut_log", "is_due", "look", "promote"]

CUT_MS: Final = 100

NEXT_DUE: Final = "SELECT min(due) FROM delayed"
DUE: Final = """
SELECT delayed.id, delayed.queue, delayed.deliveries, delayed.fresh FROM delayed
WHERE delayed.due <= ? ORDER BY delayed.due, delayed.id LIMIT ?
"""
TO_THE_END: Final = "UPDATE record SET id = (SELECT max(id) + 1 FROM record), due = NULL WHERE id = ?"
LAST: Final = "SELECT max(id) FROM record"
MAKE_READY: Final = "INSERT INTO ready SELECT queue, rank, id, ?, size, dies FROM record WHERE id = ?"
UNDELAY: Final = "DELETE FROM delayed WHERE id = ?"
ENDS: Final = """
WITH RECURSIVE mortal (queue) AS (
    SELECT min(queue) FROM ready INDEXED BY ready_by_end WHERE dies IS NOT NULL
    UNION ALL
    SELECT (SELECT min(ready.queue) FROM ready INDEXED BY ready_by_end
            WHERE ready.dies IS NOT NULL AND ready.queue > mortal.queue)
    FROM mortal WHERE mortal.queue IS NOT NULL
)
SELECT queue,
    (SELECT min(dies) FROM ready INDEXED BY ready_by_end WHERE ready.queue = mortal.queue AND dies IS NOT NULL),
    (SELECT min(dies) FROM ready INDEXED BY ready_by_end WHERE ready.queue = mortal.queue AND dies > ?)
FROM mortal WHERE queue IS NOT NULL
"""
"""For each queue with mortal records its first end and the first that is still to come, at a few steps a queue."""


def is_due(connection: sqlite3.Connection) -> bool:
    """Tell whether a delayed record's time has come."""
    (due,) = connection.execute(NEXT_DUE).fetchone()
    return due is not None and due <= wall_ms()


def promote(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Make up to `limit` delayed records ready whose time has come; gives their queues."""
    due = connection.execute(DUE, (wall_ms(), limit)).fetchall()
    for place, _, deliveries, fresh in due:
        connection.execute(UNDELAY, (place,))
        if fresh:
            connection.execute(TO_THE_END, (place,))
            (place,) = connection.execute(LAST).fetchone()  # noqa: PLW2901 - its place is another now
        connection.execute(MAKE_READY, (deliveries, place))
    return list(dict.fromkeys(queue for _, queue, _, _ in due))


def look(connection: sqlite3.Connection, promoted: Sequence[str]) -> Swept:
    """Tell where records have outlived their time, and when there will be something to do."""
    now = wall_ms()
    expired = []
    coming = [due for due in connection.execute(NEXT_DUE).fetchone() if due is not None]
    for queue, first, following in connection.execute(ENDS, (now,)).fetchall():
        if first <= now:
            expired.append(queue)
        if following is not None:
            coming.append(following)
    return Swept(promoted, expired, max(0, min(coming) - now) / 1000 if coming else None)


def cut_log(connection: sqlite3.Connection) -> None:
    """Empty the log, if those who read in it end soon.

    SQLite does so by itself when nobody reads at the end of a commit. With many busy processes somebody always does.
    """
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # the most of it, while others write on
    connection.execute(f"PRAGMA busy_timeout = {CUT_MS}")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute("PRAGMA busy_timeout = 0")
