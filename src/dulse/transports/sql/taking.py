"""Taking records and what becomes of them: settled, released, forwarded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from dulse.model.records import Guard, Leased, Target
from dulse.transports.sql.limits import count, excess, lock_limits, mark_limited
from dulse.transports.sql.link import Link
from dulse.transports.sql.names import stored
from dulse.transports.sql.owning import hold, slack
from dulse.transports.sql.putting import check_guards, write_records
from dulse.virtual.storage import Move

__all__ = ["Taker", "forward", "release", "reserve", "reserve_at_once", "reserve_expired", "settle", "trim"]

Token = tuple[int, int]
"""The record's id and the number of this taking, which no other taking of it has."""

_READY: Final = "FROM dulse_record WHERE queue = %s AND owner IS NULL AND due IS NULL"
HEADS: Final = f"""
SELECT id, deliveries, since, dies, payload, {{now}} {_READY} ORDER BY step, id LIMIT %s {{skip}}
"""
EXPIRED: Final = f"""
SELECT id, deliveries, since, dies, payload, {{now}} {_READY} AND dies <= {{now}}
ORDER BY dies, step, id LIMIT %s {{skip}}
"""
HEAD_SIZES: Final = f"SELECT size {_READY} ORDER BY step, id LIMIT %s"
LEASE: Final = "UPDATE dulse_record SET owner = %s, token = %s, deliveries = deliveries + %s WHERE id {ids}"

_OURS: Final = "owner = (SELECT id FROM dulse_owner WHERE name = %s)"
SETTLE_ONE: Final = f"DELETE FROM dulse_record WHERE id = %s AND token = %s AND {_OURS}"  # noqa: S608 - no input
OURS: Final = f"SELECT id, token, queue FROM dulse_record WHERE {_OURS} AND id {{ids}} {{lock}}"  # noqa: S608 - no input
DELETE: Final = "DELETE FROM dulse_record WHERE id {ids}"
SETTLE_MANY: Final = f"""
DELETE FROM dulse_record USING unnest(%s::bigint[], %s::bigint[]) AS taken (id, token)
WHERE dulse_record.id = taken.id AND dulse_record.token = taken.token AND {_OURS} RETURNING dulse_record.id
"""  # noqa: S608 - no input
TAKE_AT_ONCE: Final = f"""
WITH me AS MATERIALIZED (
    SELECT id FROM dulse_owner WHERE name = %s AND expires >= {{now}} + %s::bigint FOR SHARE
), gone AS (
    DELETE FROM dulse_record USING unnest(%s::bigint[], %s::bigint[]) AS settled (id, token)
    WHERE dulse_record.id = settled.id AND dulse_record.token = settled.token AND owner = (SELECT id FROM me)
    RETURNING dulse_record.id
), heads AS MATERIALIZED (
    SELECT id {_READY} AND EXISTS (SELECT FROM me) ORDER BY step, id LIMIT %s FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE dulse_record SET owner = (SELECT id FROM me), token = %s, deliveries = deliveries + 1
    FROM heads WHERE dulse_record.id = heads.id
    RETURNING dulse_record.id, step, deliveries, since, dies, payload
)
SELECT 0 AS what, NULL::bigint AS step, id, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea, 0 FROM me
UNION ALL SELECT 1, NULL, id, NULL, NULL, NULL, NULL, 0 FROM gone
UNION ALL SELECT 2, step, id, deliveries, since, dies, payload, {{now}} FROM taken
"""  # noqa: S608 - no input
"""What `reserve` does with one queue for an owner whose time needs no prolonging, as one statement of PostgreSQL."""

RELEASE: Final = """
UPDATE dulse_record SET owner = NULL, token = NULL, fresh = 0, due = {now} + CAST(%s AS {int}),
deliveries = CASE WHEN deliveries > %s THEN deliveries - %s ELSE 0 END WHERE id {ids}
"""


class Taker(NamedTuple):
    """Who takes, and the number that fences this taking."""

    owner: str
    lease_ms: int
    number: int


def reserve(
    link: Link, wants: Sequence[tuple[str, int]], taker: Taker, settled: Sequence[Token]
) -> tuple[list[Leased], Sequence[Token], bool]:
    """Settle, take and lease; also tells whether the owner was known until now (True if nothing was taken)."""
    lost = settle(link, settled, taker.owner) if settled else ()
    taken: list[Leased] = []
    known = True
    for queue, number in wants:
        heads = link.rows(HEADS, (stored(queue), number)) if number > 0 else ()
        leased, was_known = _lease(link, queue, heads, taker, 1)
        known = known and was_known
        taken += leased
    return taken, lost, known


def reserve_at_once(
    link: Link, want: tuple[str, int], taker: Taker, settled: Sequence[Token]
) -> tuple[list[Leased], Sequence[Token]] | None:
    """Do what `reserve` does by a single statement; None: nothing was done, the owner has to be seen to."""
    queue, number = want
    least_ms = taker.lease_ms - slack(taker.lease_ms)
    records, tokens = [record for record, _ in settled], [token for _, token in settled]
    values = (stored(taker.owner), least_ms, records, tokens, stored(queue), max(0, number), taker.number)
    found = link.rows(TAKE_AT_ONCE, values)
    if not any(row[0] == 0 for row in found):
        return None
    gone = {row[2] for row in found if row[0] == 1}
    heads = sorted(row[1:] for row in found if row[0] == 2)  # noqa: PLR2004 - as TAKE_AT_ONCE has it
    taken = [leased(queue, taker.number, row[1:], 0) for row in heads]
    return taken, () if len(gone) == len(settled) else [token for token in settled if token[0] not in gone]


def reserve_expired(link: Link, queue: str, number: int, taker: Taker) -> tuple[list[Leased], bool]:
    """Take ready records whose time to live is over; also tells whether the owner was known, as `reserve` does."""
    return _lease(link, queue, link.rows(EXPIRED, (stored(queue), max(0, number))), taker, 0)


def trim(link: Link, limits: Target, number: int, taker: Taker) -> tuple[list[Leased], bool]:
    """Take up to so many heads until the queue is within its limits; also tells whether the owner was known."""
    queue = limits.queue
    lock_limits(link, [queue])
    over = excess(limits, *count(link, queue))
    sizes = [size for (size,) in link.rows(HEAD_SIZES, (stored(queue), max(0, number)))] if over != (0, 0) else []
    wanted = _number_over(sizes, *over)
    return _lease(link, queue, link.rows(HEADS, (stored(queue), wanted)) if wanted else (), taker, 0)


def _number_over(sizes: Sequence[int], number: int, size: int) -> int:
    """Give how many heads have to go for so many records and bytes to be gone."""
    for index, its_size in enumerate(sizes):
        if index >= number and size <= 0:
            return index
        size -= its_size
    return len(sizes)


def _lease(
    link: Link, queue: str, rows: Sequence[tuple[Any, ...]], taker: Taker, deliveries: int
) -> tuple[list[Leased], bool]:
    """Lease records that are locked, and count so many deliveries."""
    if not rows:
        return [], True
    key, known = hold(link, stored(taker.owner), taker.lease_ms, slack(taker.lease_ms))
    link.run_among(LEASE, [row[0] for row in rows], key, taker.number, deliveries)
    return [leased(queue, taker.number, row, deliveries) for row in rows], known


def leased(queue: str, number: int, row: tuple[Any, ...], more: int) -> Leased:
    """Give what a taking gives of a row of HEADS."""
    record, deliveries, since, dies, payload, now = row
    ttl_ms = None if dies is None else dies - since
    return Leased((record, number), queue, bytes(payload), deliveries + more, max(0, now - since), ttl_ms)


def settle(link: Link, tokens: Sequence[Token], owner: str) -> Sequence[Token]:
    """Delete taken records; gives the tokens that were no longer the owner's."""
    if len(tokens) == 1:
        return () if link.run(SETTLE_ONE, (*tokens[0], stored(owner))) else tokens
    if link.dialect.is_postgresql:
        columns = [list(column) for column in zip(*tokens, strict=True)]
        gone = {record for (record,) in link.rows(SETTLE_MANY, (*columns, stored(owner)))}
    else:
        gone = set(_ours(link, tokens, owner))
        if gone:
            link.run_among(DELETE, gone)
    return () if len(gone) == len(tokens) else [token for token in tokens if token[0] not in gone]


def _ours(link: Link, tokens: Sequence[Token], owner: str) -> dict[int, str]:
    """Give the records and queues of those tokens that are still the owner's, and keep them so."""
    wanted = set(tokens)
    rows = link.rows_among(OURS, [record for record, _ in tokens], stored(owner))
    return {record: queue for record, token, queue in rows if (record, token) in wanted}


def release(link: Link, tokens: Sequence[Token], owner: str, delay_ms: int, *, counted: bool) -> Sequence[Token]:
    """Put taken records back to their old places, at once or later; gives the tokens no longer the owner's."""
    ours = _ours(link, tokens, owner)
    back = 0 if counted else 1
    if ours:
        link.run_among(RELEASE, ours, delay_ms or None, back, back)
        if not delay_ms:
            link.notify(ours.values())
            mark_limited(link, ours.values())
    return [token for token in tokens if token[0] not in ours]


def forward(link: Link, moves: Sequence[Move], owner: str, guards: Sequence[Guard]) -> Sequence[Token]:
    """Settle taken records and write others in the place of each; gives the tokens that were no longer the owner's."""
    lost = settle(link, [token for token, _ in moves], owner)
    gone = set(lost)
    if len(gone) < len(moves):
        check_guards(link, guards)
        write_records(link, [put for token, puts in moves if token not in gone for put in puts], limited=False)
    return lost
