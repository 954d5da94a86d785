"""Writing records: the steps behind `put` and the second half of `forward`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from dulse.links.clocks import wall_ms
from dulse.model.records import Guard, Problem, Put, Target
from dulse.virtual.storage import StaleTopology

__all__ = ["check_guards", "excess", "last_number", "put_all", "put_one", "write_records"]

_INSERT: Final = "INSERT INTO record (queue, rank, since, dies, due, size, payload)"
PUT: Final = f"{_INSERT} VALUES (?, ?, ?, ?, ?, ?, ?)"
_HOLDS: Final = "coalesce((SELECT revision FROM revision WHERE grp = ?), 0) = ?"
PUT_GUARDED: Final = [
    PUT,
    *(f"{_INSERT} SELECT ?, ?, ?, ?, ?, ?, ? WHERE {' AND '.join([_HOLDS] * guards)}" for guards in range(1, 9)),
]
"""One record into one queue if so many guards hold: by far the most frequent statement."""

REVISION: Final = "SELECT revision FROM revision WHERE grp = ?"
TALLY: Final = "SELECT count, bytes FROM tally WHERE queue = ?"
BEGIN_TALLY: Final = "INSERT INTO tally SELECT ?, count(*), coalesce(sum(size), 0) FROM ready WHERE queue = ?"
NUMBER: Final = "SELECT number FROM publisher WHERE name = ?"
SET_NUMBER: Final = "INSERT OR REPLACE INTO publisher VALUES (?, ?, ?)"
FORGET_PUBLISHERS: Final = "DELETE FROM publisher WHERE at < ?"

PUBLISHER_MS: Final = 30 * 86_400_000
"""A publisher silent for so long has ended: its number is deleted."""

Row = tuple[str, int, int, int | None, int | None, int, bytes]


def _row(target: Target, put: Put, now: int) -> Row:
    queue, priority, ttl_ms, delay_ms = target[:4]
    since = now + delay_ms
    dies = None if ttl_ms is None else since + ttl_ms
    return queue, -priority, since, dies, since if delay_ms else None, put.size, put.payload


def put_one(connection: sqlite3.Connection, put: Put, target: Target, guards: Sequence[Guard]) -> bool:
    """Write one record into one queue without limits; False: a guard failed."""
    row = _row(target, put, wall_ms())
    if not guards:
        connection.execute(PUT, row)
        return True
    values = [*row, *(value for guard in guards for value in guard)]
    return connection.execute(PUT_GUARDED[len(guards)], values).rowcount == 1


def check_guards(connection: sqlite3.Connection, guards: Sequence[Guard]) -> None:
    """Raise StaleTopology for the first guard that does not hold."""
    for group, revision in guards:
        found = connection.execute(REVISION, (group,)).fetchone()
        if (found[0] if found else 0) != revision:
            raise StaleTopology(group)


def put_all(
    connection: sqlite3.Connection,
    puts: Sequence[Put],
    guards: Sequence[Guard],
    publisher: tuple[str, int] | None,
    park: str | None,
) -> Sequence[Problem]:
    """Write everything, or park it; nothing if it is not the publisher's next number."""
    now = wall_ms()
    if publisher is not None and not _count(connection, *publisher, now):
        return ()
    try:
        check_guards(connection, guards)
    except StaleTopology:
        if park is None:
            raise
        puts = [put._replace(targets=(Target(park),)) for put in puts]
    return write_records(connection, puts, limited=True)


def last_number(connection: sqlite3.Connection, publisher: str) -> int:
    """Give the number of a publisher's last call that was written."""
    found = connection.execute(NUMBER, (publisher,)).fetchone()
    return found[0] if found else 0


def _count(connection: sqlite3.Connection, name: str, number: int, now: int) -> bool:
    if number != last_number(connection, name) + 1:
        return False
    if number == 1:
        connection.execute(FORGET_PUBLISHERS, (now - PUBLISHER_MS,))
    connection.execute(SET_NUMBER, (name, number, now))
    return True


def write_records(connection: sqlite3.Connection, puts: Sequence[Put], *, limited: bool) -> Sequence[Problem]:
    """Write records into their queues, in order; tell which queues are at their limit."""
    now = wall_ms()
    if limited and any(has_limit(target) for put in puts for target in put.targets):
        return _write_limited(connection, puts, now)
    connection.executemany(PUT, [_row(target, put, now) for put in puts for target in put.targets])
    return ()


def has_limit(target: Target) -> bool:
    """Tell whether the queue may be over a limit after a put."""
    return target.max_count is not None or target.max_bytes is not None


def _write_limited(connection: sqlite3.Connection, puts: Sequence[Put], now: int) -> Sequence[Problem]:
    problems: list[Problem] = []
    checked: dict[str, tuple[int, Target]] = {}
    for index, put in enumerate(puts):
        for target in put.targets:
            if has_limit(target):
                if target.refuse and excess(connection, target, 1, put.size) != (0, 0):
                    problems.append(Problem(index, target.queue, -1))
                    continue
                if not target.refuse:
                    checked[target.queue] = index, target
            connection.execute(PUT, _row(target, put, now))
    for queue, (index, target) in checked.items():
        over = excess(connection, target, 0, 0)
        if over != (0, 0):
            problems.append(Problem(index, queue, *over))
    return problems


def excess(connection: sqlite3.Connection, target: Target, more: int, more_bytes: int) -> tuple[int, int]:
    """Give by how many records and bytes a queue would be over its limits with some more."""
    queue, max_count, max_bytes = target.queue, target.max_count, target.max_bytes
    found = connection.execute(TALLY, (queue,)).fetchone()
    if found is None:
        connection.execute(BEGIN_TALLY, (queue, queue))
        found = connection.execute(TALLY, (queue,)).fetchone()
    count, size = found
    over = 0 if max_count is None else max(0, count + more - max_count)
    return over, 0 if max_bytes is None else max(0, size + more_bytes - max_bytes)
