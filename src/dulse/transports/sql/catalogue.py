"""The catalogue: groups of named values, each with a revision, changed by compare-and-set."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dulse.model.records import Group, Parts
from dulse.transports.sql.link import Link
from dulse.transports.sql.looking import drop, has_ready
from dulse.transports.sql.names import digest, shown, stored
from dulse.transports.sql.owning import is_dead

__all__ = ["change", "list_groups", "read_groups", "revisions"]

AT_ONCE: Final = 500
"""Names in one statement."""

READ: Final = """
SELECT g.name, g.revision, {now} - g.since, e.name, e.value
FROM dulse_group g LEFT JOIN dulse_entry e ON e.grp = g.name WHERE g.name IN ({names})
"""
READ_PARTS: Final = """
SELECT g.name, g.revision, {now} - g.since, e.name, e.value
FROM dulse_group g LEFT JOIN dulse_entry e ON e.grp = g.name AND e.digest IN ({fields}) WHERE g.name = %s
"""
REVISIONS: Final = "SELECT name, revision FROM dulse_group WHERE name IN ({names})"
LOCKED: Final = "SELECT name, revision FROM dulse_group WHERE name IN ({names}) ORDER BY name {lock}"
LIST: Final = "SELECT name, revision, {now} - since FROM dulse_group WHERE name >= %s"
LIST_WITHIN: Final = f"{LIST} AND name < %s"
COUNT_UP: Final = "UPDATE dulse_meta SET value = value + 1 WHERE name = 'revision'"
COUNTED: Final = "SELECT value FROM dulse_meta WHERE name = 'revision'"
DELETE: Final = "DELETE FROM dulse_entry WHERE grp = %s AND digest = %s"
WRITE: Final = "INSERT INTO dulse_entry (grp, digest, name, value) VALUES (%s, %s, %s, %s)"
HAS_ENTRIES: Final = "SELECT 1 FROM dulse_entry WHERE grp = %s LIMIT 1"
REVISE: Final = "UPDATE dulse_group SET revision = %s, since = {now} WHERE name = %s"
BEGIN_GROUP: Final = "INSERT INTO dulse_group (name, revision, since) VALUES (%s, %s, {now})"
END_GROUP: Final = "DELETE FROM dulse_group WHERE name = %s"

FIRST_SURROGATE: Final = 0xD800
LAST_SURROGATE: Final = 0xDFFF
"""No text holds these."""


def _naming(statement: str, number: int, word: str = "{names}") -> str:
    return statement.replace(word, ", ".join(["%s"] * number))


def read_groups(link: Link, names: Sequence[str], parts: Parts) -> dict[str, Group]:
    """Read groups, and of others some fields; those that do not exist have revision 0."""
    wanted = dict.fromkeys((*names, *parts))
    rows: list[tuple[Any, ...]] = []
    if names:
        rows += link.rows(_naming(READ, len(names)), [stored(name) for name in names])
    for name in parts:
        if name not in names:
            fields = [digest(field) for field in parts[name]] or [b""]
            rows += link.rows(_naming(READ_PARTS, len(fields), "{fields}"), (*fields, stored(name)))
    values: dict[str, dict[str, str]] = {name: {} for name in wanted}
    about = dict.fromkeys(wanted, (0, 0))
    for group, revision, age, field, value in rows:
        name = shown(group)
        about[name] = revision, max(0, age)
        if field is not None:
            values[name][shown(field)] = shown(value)
    return {name: Group(*about[name], values[name]) for name in wanted}


def revisions(link: Link, names: Sequence[str]) -> list[int]:
    """Give the revisions of groups in the order asked for."""
    return _found(link, REVISIONS, names)


def _found(link: Link, statement: str, names: Iterable[str]) -> list[int]:
    given = [stored(name) for name in names]
    found: dict[str, int] = {}
    for start in range(0, len(given), AT_ONCE):
        part = given[start : start + AT_ONCE]
        found.update(link.rows(_naming(statement, len(part)), part))
    return [found.get(name, 0) for name in given]


def list_groups(link: Link, prefix: str) -> dict[str, tuple[int, int]]:
    """Give revision and age of all groups whose name begins so."""
    start = stored(prefix)
    end = _behind(start)
    rows = link.rows(LIST, (start,)) if end is None else link.rows(LIST_WITHIN, (start, end))
    return {shown(name): (revision, max(0, age)) for name, revision, age in rows}


def _behind(prefix: str) -> str | None:
    """Give what comes after all names that begin so, in the order of UTF-8; None: nothing does."""
    for end in range(len(prefix), 0, -1):
        following = ord(prefix[end - 1]) + 1
        if following == FIRST_SURROGATE:
            following = LAST_SURROGATE + 1
        if following <= sys.maxunicode:
            return prefix[: end - 1] + chr(following)
    return None


def change(
    link: Link,
    expect: Mapping[str, int],
    writes: Mapping[tuple[str, str], str | None],
    dropped: Sequence[str],
    *,
    only_empty: bool,
    if_dead: str | None,
) -> bool:
    """Write values and drop queues if the groups are as expected, the queues empty and the owner dead, if asked for.

    One change at a time; whoever puts under a guard has ended before, or sees what was changed.
    """
    link.run(COUNT_UP)
    if if_dead is not None and not is_dead(link, stored(if_dead)):
        return False
    groups = dict.fromkeys((*expect, *(group for group, _ in writes)))
    found = dict(zip(groups, _found(link, LOCKED, groups), strict=True))
    if any(found[name] != revision for name, revision in expect.items()):
        return False
    if only_empty and any(has_ready(link, queue) for queue in dropped):
        return False
    if writes:
        _write(link, writes, found)
    for queue in dropped:
        drop(link, queue)
    return True


def _write(link: Link, writes: Mapping[tuple[str, str], str | None], found: Mapping[str, int]) -> None:
    keys = [(stored(group), digest(name)) for group, name in writes]
    link.many(DELETE, keys)
    link.many(
        WRITE,
        [
            (*key, stored(name), stored(value))
            for key, ((_, name), value) in zip(keys, writes.items(), strict=True)
            if value is not None
        ],
    )
    revision = link.rows(COUNTED)[0][0]
    for group in dict.fromkeys(group for group, _ in writes):
        name = stored(group)
        if not link.rows(HAS_ENTRIES, (name,)):
            link.run(END_GROUP, (name,))
        elif found[group]:
            link.run(REVISE, (revision, name))
        else:
            link.run(BEGIN_GROUP, (name, revision))
