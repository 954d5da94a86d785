"""Taking records and what becomes of them: settled, released, forwarded."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from dulse.links.clocks import wall_ms
from dulse.model.records import Guard, Leased, Put, Target
from dulse.transports.sqlite.owning import GIVE_BACK, UNLEASE, hold, slack
from dulse.transports.sqlite.putting import check_guards, excess, write_records
from dulse.virtual.storage import Move

__all__ = ["Taker", "forward", "forward_many", "release", "reserve", "reserve_expired", "settle", "settle_one", "trim"]

Row = tuple[int, int, int, int, int | None, bytes]
"""What HEADS and EXPIRED give of a record: rank, id, deliveries, since, dies, payload."""

Token = tuple[int, int]
"""The record's id and the number of this taking, which no other taking of it has."""

HEADS: Final = """
SELECT ready.rank, ready.id, ready.deliveries, record.since, record.dies, record.payload
FROM ready CROSS JOIN record ON record.id = ready.id
WHERE ready.queue = ? ORDER BY ready.rank, ready.id LIMIT ?
"""
LEASE_HEADS: Final = """
INSERT INTO leased SELECT id, ?, ?, deliveries + 1, queue FROM ready WHERE queue = ? AND (rank, id) <= (?, ?)
"""
TAKE_HEADS: Final = "DELETE FROM ready WHERE queue = ? AND (rank, id) <= (?, ?)"
EXPIRED: Final = """
SELECT ready.rank, ready.id, ready.deliveries, record.since, record.dies, record.payload
FROM ready INDEXED BY ready_by_end CROSS JOIN record ON record.id = ready.id
WHERE ready.queue = ? AND ready.dies <= ? ORDER BY ready.dies, ready.rank, ready.id LIMIT ?
"""
HEAD_SIZES: Final = "SELECT size FROM ready WHERE queue = ? ORDER BY rank, id LIMIT ?"
LEASE_ONE: Final = "INSERT INTO leased VALUES (?, ?, ?, ?, ?)"
TAKE_ONE: Final = "DELETE FROM ready WHERE queue = ? AND rank = ? AND id = ?"

_IS_OURS: Final = "token = ? AND owner = (SELECT key FROM owner WHERE name = ?)"
SETTLE: Final = f"""
DELETE FROM record WHERE id = ? AND EXISTS (SELECT 1 FROM leased WHERE leased.id = record.id AND {_IS_OURS})
"""  # noqa: S608 - no input
IS_LEASED: Final = f"SELECT 1 FROM leased WHERE id = ? AND {_IS_OURS}"  # noqa: S608 - no input
DELAYED_AGAIN: Final = """
INSERT INTO delayed SELECT id, queue, ?, max(0, deliveries - ?), 0 FROM leased WHERE id = ?
"""


class Taker(NamedTuple):
    """Who takes, and the number that fences this taking."""

    owner: str
    lease_ms: int
    boot: str
    number: int


def reserve(
    connection: sqlite3.Connection, wants: Sequence[tuple[str, int]], taker: Taker, settled: Sequence[Token]
) -> tuple[list[Leased], Sequence[Token], bool]:
    """Settle, take and lease; also tells whether the owner was known until now (True if nothing was taken)."""
    lost = settle(connection, settled, taker.owner) if settled else ()
    taken: list[Leased] = []
    known = True
    key = None
    number = taker.number
    now = wall_ms()
    for queue, count in wants:
        heads = connection.execute(HEADS, (queue, max(0, count))).fetchall()
        if not heads:
            continue
        if key is None:
            key, known = hold(connection, taker.owner, taker.lease_ms, taker.boot, slack(taker.lease_ms))
        rank, last = heads[-1][:2]
        connection.execute(LEASE_HEADS, (key, number, queue, rank, last))
        connection.execute(TAKE_HEADS, (queue, rank, last))
        taken += [
            Leased(
                (record, number),
                queue,
                payload,
                deliveries + 1,
                max(0, now - since),
                None if dies is None else dies - since,
            )
            for _, record, deliveries, since, dies, payload in heads
        ]
    return taken, lost, known


def reserve_expired(connection: sqlite3.Connection, queue: str, count: int, taker: Taker) -> tuple[list[Leased], bool]:
    """Take ready records whose time to live is over; also tells whether the owner was known, as `reserve` does."""
    found = connection.execute(EXPIRED, (queue, wall_ms(), max(0, count))).fetchall()
    return _take_undelivered(connection, queue, found, taker)


def trim(connection: sqlite3.Connection, limits: Target, count: int, taker: Taker) -> tuple[list[Leased], bool]:
    """Take up to `count` heads until the queue is within its limits; also tells whether the owner was known."""
    queue = limits.queue
    sizes = [size for (size,) in connection.execute(HEAD_SIZES, (queue, max(0, count))).fetchall()]
    number = _number_over(sizes, *excess(connection, limits, 0, 0)) if sizes else 0
    found = connection.execute(HEADS, (queue, number)).fetchall() if number else []
    return _take_undelivered(connection, queue, found, taker)


def _number_over(sizes: Sequence[int], count: int, size: int) -> int:
    """Give how many heads have to go for so many records and bytes to be gone."""
    for number, its_size in enumerate(sizes):
        if number >= count and size <= 0:
            return number
        size -= its_size
    return len(sizes)


def _take_undelivered(
    connection: sqlite3.Connection, queue: str, found: Sequence[Row], taker: Taker
) -> tuple[list[Leased], bool]:
    """Lease records without counting that as a delivery."""
    if not found:
        return [], True
    now = wall_ms()
    key, known = hold(connection, taker.owner, taker.lease_ms, taker.boot, slack(taker.lease_ms))
    number = taker.number
    connection.executemany(LEASE_ONE, [(record, key, number, deliveries, queue) for _, record, deliveries, *_ in found])
    connection.executemany(TAKE_ONE, [(queue, rank, record) for rank, record, *_ in found])
    taken = [
        Leased(
            (record, number), queue, payload, deliveries, max(0, now - since), None if dies is None else dies - since
        )
        for _, record, deliveries, since, dies, payload in found
    ]
    return taken, known


def settle_one(connection: sqlite3.Connection, token: Token, owner: str) -> bool:
    """Delete a taken record; False: it was no longer the owner's."""
    return connection.execute(SETTLE, (*token, owner)).rowcount == 1


def settle(connection: sqlite3.Connection, tokens: Sequence[Token], owner: str) -> Sequence[Token]:
    """Delete taken records as the first thing in a transaction; gives the tokens that were no longer the owner's."""
    rows = [(*token, owner) for token in tokens]
    if connection.executemany(SETTLE, rows).rowcount == len(rows):
        return ()
    # How many were lost is known now, but not which.
    connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
    return [token for token in tokens if not settle_one(connection, token, owner)]


def release(
    connection: sqlite3.Connection, tokens: Sequence[Token], owner: str, delay_ms: int, *, counted: bool
) -> Sequence[Token]:
    """Put taken records back to their old places, at once or later; gives the tokens no longer the owner's."""
    lost = []
    back = 0 if counted else 1
    due = wall_ms() + delay_ms
    for token in tokens:
        if connection.execute(IS_LEASED, (*token, owner)).fetchone() is None:
            lost.append(token)
        elif delay_ms:
            connection.execute(DELAYED_AGAIN, (due, back, token[0]))
            connection.execute(UNLEASE, token[:1])
        else:
            connection.execute(GIVE_BACK, (back, token[0]))
            connection.execute(UNLEASE, token[:1])
    return lost


def forward(
    connection: sqlite3.Connection, token: Token, owner: str, puts: Sequence[Put], guards: Sequence[Guard]
) -> bool:
    """Settle a taken record and write others; False: it was no longer the owner's."""
    if not settle_one(connection, token, owner):
        return False
    check_guards(connection, guards)
    write_records(connection, puts, limited=False)
    return True


def forward_many(
    connection: sqlite3.Connection,
    moves: Sequence[Move],
    owner: str,
    guards: Sequence[Guard],
) -> Sequence[Token]:
    """Settle taken records and write others in the place of each; gives the tokens that were no longer the owner's."""
    check_guards(connection, guards)
    return [token for token, puts in moves if not forward(connection, token, owner, puts, ())]
