"""Looking at queues, and emptying them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dulse.model.records import Depth, Peeked
from dulse.transports.sql.limits import count
from dulse.transports.sql.link import Link
from dulse.transports.sql.names import shown, stored

__all__ = ["count_ready", "depth", "drop", "has_ready", "peek", "purge", "ready_queues"]

_READY: Final = "FROM dulse_record WHERE queue = %s AND owner IS NULL AND due IS NULL"
IS_READY: Final = f"SELECT 1 {_READY} ORDER BY step, id LIMIT 1"
READY_QUEUES: Final = f"""
SELECT wanted.queue FROM unnest(%s::text[]) AS wanted (queue), LATERAL (
    SELECT 1 {_READY.replace("%s", "wanted.queue")} ORDER BY step, id LIMIT 1
) AS first
"""  # noqa: S608 - no input
ONE_OF_MANY: Final = f"SELECT * FROM (SELECT %s AS queue {_READY} LIMIT 1) AS q"  # noqa: S608 - no input
LEASED: Final = "SELECT queue, count(*) FROM dulse_record WHERE owner IS NOT NULL GROUP BY queue"
DELAYED: Final = "SELECT queue, count(*) FROM dulse_record WHERE due IS NOT NULL GROUP BY queue"
HEADS: Final = f"""
SELECT payload, deliveries, since, dies, {{now}} {_READY} ORDER BY step, id LIMIT %s
"""
HEAD_IDS: Final = f"SELECT id {_READY} ORDER BY step, id LIMIT %s {{skip}}"
DELETE: Final = "DELETE FROM dulse_record WHERE id {ids}"
DROP: Final = (
    "DELETE FROM dulse_record WHERE queue = %s",
    "DELETE FROM dulse_limited WHERE queue = %s",
    "DELETE FROM dulse_uncounted WHERE queue = %s",
)

AT_ONCE: Final = 100
"""Queues looked at by one statement."""


def has_ready(link: Link, queue: str) -> bool:
    """Tell whether a queue has a ready record."""
    return bool(link.rows(IS_READY, (stored(queue),)))


def ready_queues(link: Link, queues: Sequence[str]) -> list[str]:
    """Give those of the queues that have a ready record, in the given order."""
    if len(queues) == 1:
        return list(queues) if has_ready(link, queues[0]) else []
    names = [stored(queue) for queue in dict.fromkeys(queues)]
    if link.dialect.is_postgresql:
        return [shown(name) for (name,) in link.rows(READY_QUEUES, (names,))]
    found: list[str] = []
    for start in range(0, len(names), AT_ONCE):
        part = names[start : start + AT_ONCE]
        statement = " UNION ALL ".join(f"{ONE_OF_MANY}{number}" for number in range(len(part)))
        found += [shown(name) for (name,) in link.rows(statement, [name for name in part for _ in range(2)])]
    return found


def depth(link: Link, queues: Sequence[str]) -> list[Depth]:
    """Count what each queue holds."""
    leased = dict(link.rows(LEASED))
    delayed = dict(link.rows(DELAYED))
    found = []
    for queue in queues:
        number, size = count(link, queue)
        name = stored(queue)
        found.append(Depth(number, leased.get(name, 0), delayed.get(name, 0), size))
    return found


def peek(link: Link, queue: str, number: int) -> list[Peeked]:
    """Look at the records that come next."""
    return [
        Peeked(bytes(payload), deliveries, max(0, now - since), None if dies is None else dies - since)
        for payload, deliveries, since, dies, now in link.rows(HEADS, (stored(queue), max(0, number)))
    ]


def count_ready(link: Link, queue: str) -> int:
    """Count the ready records of a queue."""
    return count(link, queue)[0]


def purge(link: Link, queue: str, limit: int) -> int:
    """Delete up to `limit` ready records of a queue, those that come next; gives their number."""
    ids = [record for (record,) in link.rows(HEAD_IDS, (stored(queue), limit))]
    if ids:
        link.run_among(DELETE, ids)
    return len(ids)


def drop(link: Link, queue: str) -> None:
    """Delete a queue's records, whatever became of them."""
    for statement in DROP:
        link.run(statement, (stored(queue),))
