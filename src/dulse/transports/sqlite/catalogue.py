"""The catalogue: groups of named values, each with a revision, changed by compare-and-set."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dulse.links.clocks import wall_ms
from dulse.model.records import Group, Parts
from dulse.transports.sqlite.looking import drop, has_ready
from dulse.transports.sqlite.owning import is_dead

__all__ = ["change", "list_groups", "read_groups", "revisions"]

REVISION: Final = "SELECT revision, since FROM revision WHERE grp = ?"
ENTRY: Final = "SELECT value FROM entry WHERE grp = ? AND name = ?"
ENTRIES: Final = "SELECT name, value FROM entry WHERE grp = ?"
LIST: Final = "SELECT grp, revision, since FROM revision WHERE grp >= ? AND grp < ?"
COUNT_UP: Final = "UPDATE meta SET value = value + 1 WHERE name = 'revision'"
COUNTED: Final = "SELECT value FROM meta WHERE name = 'revision'"
DELETE: Final = "DELETE FROM entry WHERE grp = ? AND name = ?"
WRITE: Final = "INSERT OR REPLACE INTO entry VALUES (?, ?, ?)"
HAS_ENTRIES: Final = "SELECT 1 FROM entry WHERE grp = ? LIMIT 1"
REVISE: Final = "INSERT OR REPLACE INTO revision VALUES (?, ?, ?)"
END_GROUP: Final = "DELETE FROM revision WHERE grp = ?"

FIRST_SURROGATE: Final = 0xD800
LAST_SURROGATE: Final = 0xDFFF
"""No text holds these, nor what lies between them."""


def read_groups(connection: sqlite3.Connection, names: Sequence[str], parts: Parts) -> dict[str, Group]:
    """Read groups, and of others some fields; those that do not exist have revision 0."""
    now = wall_ms()
    found = {}
    for name in (*names, *parts):
        revision, since = connection.execute(REVISION, (name,)).fetchone() or (0, now)
        values = _values(connection, name, parts.get(name)) if revision else {}
        found[name] = Group(revision, max(0, now - since), values)
    return found


def _values(connection: sqlite3.Connection, group: str, fields: Iterable[str] | None) -> dict[str, str]:
    """Read all fields of a group, or some."""
    if fields is None:
        return dict(connection.execute(ENTRIES, (group,)).fetchall())
    rows = ((field, connection.execute(ENTRY, (group, field)).fetchone()) for field in fields)
    return {field: row[0] for field, row in rows if row is not None}


def revisions(connection: sqlite3.Connection, names: Sequence[str]) -> list[int]:
    """Give the revisions of groups in the order asked for."""
    return [(connection.execute(REVISION, (name,)).fetchone() or (0,))[0] for name in names]


def list_groups(connection: sqlite3.Connection, prefix: str) -> dict[str, tuple[int, int]]:
    """Give revision and age of all groups whose name begins so."""
    now = wall_ms()
    rows = connection.execute(LIST, (prefix, _behind(prefix))).fetchall()
    return {name: (revision, max(0, now - since)) for name, revision, since in rows}


def _behind(prefix: str) -> str | bytes:
    """Give what comes after all names that begin so, in SQLite's order: that of UTF-8, and bytes after all text."""
    for end in range(len(prefix), 0, -1):
        following = ord(prefix[end - 1]) + 1
        if following == FIRST_SURROGATE:
            following = LAST_SURROGATE + 1
        if following <= sys.maxunicode:
            return prefix[: end - 1] + chr(following)
    return b""


def change(
    connection: sqlite3.Connection,
    expect: Mapping[str, int],
    writes: Mapping[tuple[str, str], str | None],
    dropped: Sequence[str],
    *,
    only_empty: bool,
    if_dead: str | None,
    boot: str,
) -> bool:
    """Write values and drop queues if the groups are as expected, the queues empty and the owner dead, if asked for."""
    if revisions(connection, list(expect)) != list(expect.values()):
        return False
    if only_empty and any(has_ready(connection, queue) for queue in dropped):
        return False
    if if_dead is not None and not is_dead(connection, if_dead, boot):
        return False
    if writes:
        _write(connection, writes)
    for queue in dropped:
        drop(connection, queue)
    return True


def _write(connection: sqlite3.Connection, writes: Mapping[tuple[str, str], str | None]) -> None:
    connection.executemany(DELETE, [key for key, value in writes.items() if value is None])
    connection.executemany(WRITE, [(*key, value) for key, value in writes.items() if value is not None])
    connection.execute(COUNT_UP)
    (revision,) = connection.execute(COUNTED).fetchone()
    now = wall_ms()
    for group in dict.fromkeys(group for group, _ in writes):
        if connection.execute(HAS_ENTRIES, (group,)).fetchone() is None:
            connection.execute(END_GROUP, (group,))
        else:
            connection.execute(REVISE, (group, revision, now))
