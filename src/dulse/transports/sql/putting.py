"""Writing records: the steps behind `put` and the second half of `forward`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dulse.model.records import Guard, Problem, Put, Target
from dulse.transports.sql.limits import Filling, has_limit, mark_uncounted
from dulse.transports.sql.link import Link, channel_of
from dulse.transports.sql.names import stored
from dulse.virtual.storage import StaleTopology

__all__ = ["check_guards", "has_limit", "last_number", "put_all", "put_one", "write_records"]

COLUMNS: Final = "queue, step, since, dies, due, fresh, size, deliveries, payload"
VALUES: Final = """
%s, CAST(%s AS {int}), {now} + CAST(%s AS {int}), {now} + CAST(%s AS {int}), {now} + CAST(%s AS {int}), 1,
CAST(%s AS {int}), 0, %s
"""
VALUES_POSTGRESQL: Final = VALUES.replace("%s", "%s::text", 1).rstrip()[:-2] + "%s::bytea"
INSERT: Final = f"INSERT INTO dulse_record ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, 1, %s, 0, %s)"  # noqa: S608 - no input
INSERT_MANY: Final = f"""
WITH row AS (
    INSERT INTO dulse_record ({COLUMNS})
    SELECT queue, step, {{now}} + since, {{now}} + dies, {{now}} + due, 1, size, 0, payload
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[])
        WITH ORDINALITY AS given (queue, step, since, dies, due, size, payload, position)
    ORDER BY position
    RETURNING queue
)
SELECT DISTINCT queue FROM row
"""  # noqa: S608 - no input

NOW: Final = "SELECT {now}"
REVISIONS: Final = "SELECT name, revision FROM dulse_group WHERE name IN ({names}) ORDER BY name {share}"
NUMBER: Final = "SELECT number FROM dulse_publisher WHERE name = %s {lock}"
DROP_NUMBER: Final = "DELETE FROM dulse_publisher WHERE name = %s"
SET_NUMBER: Final = "INSERT INTO dulse_publisher VALUES (%s, %s, {now})"
FORGET_PUBLISHERS: Final = "DELETE FROM dulse_publisher WHERE seen < {now} - CAST(%s AS {int})"

PUBLISHER_MS: Final = 30 * 86_400_000
"""A publisher silent for so long has ended: its number is deleted."""

Row = tuple[str, int, int, int | None, int | None, int, bytes]
"""Queue, step; since, dies and due as milliseconds from now; size, payload."""

_single: dict[tuple[str, tuple[bool, ...]], str] = {}


def _row(target: Target, put: Put) -> Row:
    queue, priority, ttl_ms, delay_ms = target[:4]
    dies = None if ttl_ms is None else delay_ms + ttl_ms
    return stored(queue), -priority, delay_ms, dies, delay_ms or None, put.size, put.payload


def put_one(link: Link, put: Put, target: Target, guards: Sequence[Guard]) -> bool:
    """Write one record into one queue without limits, by one statement; False: a guard failed."""
    row = _row(target, put)
    kind = (link.dialect.name, tuple([revision != 0 for _, revision in guards]))
    statement = _single.get(kind) or _single.setdefault(kind, _single_insert(*kind))
    values: list[Any] = [*row]
    for group, revision in guards:
        values.append(stored(group))
        if revision:
            values.append(revision)
    if link.dialect.is_postgresql:
        return bool(link.rows(statement, (*values, channel_of(row[0]))))
    return link.run(statement, values) == 1


def _single_insert(dialect: str, guards: Sequence[bool]) -> str:
    """Make the statement that writes a record if guards hold; those that are False expect that there is no such group.

    The rows of the guards stay locked against changes until the record is there.
    """
    groups = [f"g{index}" for index, exists in enumerate(guards) if exists]
    holds = [
        f"g{index}.name = %s AND g{index}.revision = %s"
        if exists
        else "NOT EXISTS (SELECT 1 FROM dulse_group WHERE name = %s)"
        for index, exists in enumerate(guards)
    ]
    source = f"FROM {', '.join(f'dulse_group {group}' for group in groups)}" if groups else ""
    condition = f"WHERE {' AND '.join(holds)}" if holds else ""
    if condition and not source and dialect == "mysql":
        source = "FROM dual"
    values = VALUES_POSTGRESQL if dialect == "postgresql" else VALUES
    insert = f"INSERT INTO dulse_record ({COLUMNS}) SELECT {values} {source} {condition} {'{share}' if groups else ''}"
    if dialect == "postgresql":
        return f"WITH row AS ({insert} RETURNING queue) SELECT pg_notify(%s, queue) FROM row"  # noqa: S608 - no input
    return insert


def check_guards(link: Link, guards: Sequence[Guard]) -> None:
    """Raise StaleTopology for the first guard that does not hold; the others are kept from changing."""
    if not guards:
        return
    names = [stored(group) for group, _ in guards]
    found = dict(link.rows(REVISIONS.replace("{names}", ", ".join(["%s"] * len(names))), names))
    for name, (group, revision) in zip(names, guards, strict=True):
        if found.get(name, 0) != revision:
            raise StaleTopology(group)


def put_all(
    link: Link,
    puts: Sequence[Put],
    guards: Sequence[Guard],
    publisher: tuple[str, int] | None,
    park: str | None,
    *,
    locks: bool = True,
) -> Sequence[Problem]:
    """Write everything, or park it; nothing if it is not the publisher's next number.

    Without `locks`, in a transaction that may take long, nobody else waits for it: limits hold for what it sees.
    """
    if publisher is not None and not _count(link, *publisher):
        return ()
    try:
        check_guards(link, guards)
    except StaleTopology:
        if park is None:
            raise
        puts = [put._replace(targets=(Target(park),)) for put in puts]
    return write_records(link, puts, limited=True, locks=locks)


def last_number(link: Link, publisher: str) -> int:
    """Give the number of a publisher's last call that was written."""
    found = link.rows(NUMBER, (stored(publisher),))
    return found[0][0] if found else 0


def _count(link: Link, name: str, number: int) -> bool:
    if number != last_number(link, name) + 1:
        return False
    if number == 1:
        link.run(FORGET_PUBLISHERS, (PUBLISHER_MS,))
    link.run(DROP_NUMBER, (stored(name),))
    link.run(SET_NUMBER, (stored(name), number))
    return True


def write_records(link: Link, puts: Sequence[Put], *, limited: bool, locks: bool = True) -> Sequence[Problem]:
    """Write records into their queues, in order; tell which queues are at their limit."""
    limits = [target.queue for put in puts for target in put.targets if has_limit(target)]
    if not limits or not limited:
        _write(link, [_row(target, put) for put in puts for target in put.targets])
        mark_uncounted(link, limits)
        return ()
    if not locks:
        problems = _write_limited(link, puts, Filling.seen(link, limits))
        mark_uncounted(link, limits)
        return problems
    filling = Filling.locked(link, limits)
    problems = _write_limited(link, puts, filling)
    filling.remember()
    return problems


def _write(link: Link, rows: Sequence[Row]) -> None:
    if not rows:
        return
    if link.dialect.is_postgresql:
        link.notify(row[0] for row in link.rows(INSERT_MANY, [list(column) for column in zip(*rows, strict=True)]))
        return
    now = link.rows(NOW)[0][0]
    link.many(
        INSERT,
        [
            (queue, step, now + since, dies and now + dies, due and now + due, size, payload)
            for queue, step, since, dies, due, size, payload in rows
        ],
    )


def _write_limited(link: Link, puts: Sequence[Put], filling: Filling) -> list[Problem]:
    rows: list[Row] = []
    problems: list[Problem] = []
    checked: dict[str, tuple[int, Target]] = {}
    for index, put in enumerate(puts):
        for target in put.targets:
            if has_limit(target):
                if target.refuse and filling.excess(target, 1, put.size) != (0, 0):
                    problems.append(Problem(index, target.queue, -1))
                    continue
                if not target.refuse:
                    checked[target.queue] = index, target
            if not target.delay_ms:
                filling.add(target.queue, put.size)
            rows.append(_row(target, put))
    # Counted before anything is written, and what this call writes besides.
    over = {queue: filling.excess(target) for queue, (_, target) in checked.items()}
    _write(link, rows)
    problems += [Problem(checked[queue][0], queue, *by) for queue, by in over.items() if by != (0, 0)]
    return problems
