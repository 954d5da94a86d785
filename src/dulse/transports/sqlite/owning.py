"""Who holds records and until when, and giving back what the dead held."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from typing import Final

from dulse.links.clocks import awake_ms

__all__ = ["GIVE_BACK", "UNLEASE", "Held", "dead_owners", "forget", "held", "hold", "is_dead", "renew"]

OWNER: Final = "SELECT key, boot, expires FROM owner WHERE name = ?"
ADD_OWNER: Final = "INSERT INTO owner (name, boot, expires) VALUES (?, ?, ?)"
EXTEND: Final = "UPDATE owner SET boot = ?, expires = ? WHERE key = ?"
DECLARE_DEAD: Final = "UPDATE owner SET expires = 0 WHERE key = ?"
DROP_OWNER: Final = "DELETE FROM owner WHERE key = ?"
DEAD: Final = "SELECT name, boot, expires FROM owner WHERE boot <> ? OR expires <= ?"
NEXT_DEATH: Final = "SELECT min(expires) FROM owner WHERE boot = ? AND expires > ?"
HELD: Final = "SELECT id FROM leased WHERE owner = ? LIMIT ?"
TOKENS: Final = "SELECT id, token FROM leased WHERE owner = (SELECT key FROM owner WHERE name = ?)"
GIVE_BACK: Final = """
INSERT INTO ready
SELECT record.queue, record.rank, record.id, max(0, leased.deliveries - ?), record.size, record.dies
FROM leased CROSS JOIN record ON record.id = leased.id WHERE leased.id = ?
"""
"""To its old place, with so many deliveries less."""

UNLEASE: Final = "DELETE FROM leased WHERE id = ?"

SLACK: Final = 20
MOST_SLACK_MS: Final = 250
"""A take leaves the owner's time alone while this much of it, or a twentieth, has passed: one write less a take."""

EVERYTHING: Final = -1

Held = tuple[int, bool]
"""An owner's key, and whether it was known and alive until now."""


def hold(connection: sqlite3.Connection, owner: str, lease_ms: int, boot: str, slack_ms: int) -> Held:
    """Register an owner, or keep it for `lease_ms` (less `slack_ms`) from now."""
    now = awake_ms()
    found = connection.execute(OWNER, (owner,)).fetchone()
    if found is None:
        key = connection.execute(ADD_OWNER, (owner, boot, now + lease_ms)).lastrowid
        assert key is not None  # noqa: S101 - SQLite has just made it
        return key, False
    key, its_boot, expires = found
    known = its_boot == boot and expires != 0
    if not known:
        _give_back(connection, key, EVERYTHING)
    if not known or expires < now + lease_ms - slack_ms:
        connection.execute(EXTEND, (boot, now + lease_ms, key))
    return key, known


def slack(lease_ms: int) -> int:
    """Give by how much less than a lease a take may leave its owner."""
    return min(lease_ms // SLACK, MOST_SLACK_MS)


def renew(connection: sqlite3.Connection, owner: str, lease_ms: int, boot: str) -> bool:
    """Keep an owner for `lease_ms` from now; False: it was not known, or had been declared dead."""
    return hold(connection, owner, lease_ms, boot, 0)[1]


def held(connection: sqlite3.Connection, owner: str) -> list[tuple[int, int]]:
    """Give the tokens of all that an owner holds."""
    return connection.execute(TOKENS, (owner,)).fetchall()


def dead_owners(connection: sqlite3.Connection, boot: str) -> tuple[Mapping[str, float], float | None]:
    """Name the owners past their time with the seconds since; give those until the next is."""
    now = awake_ms()
    dead = {
        name: (now - expires) / 1000 if its_boot == boot else math.inf
        for name, its_boot, expires in connection.execute(DEAD, (boot, now)).fetchall()
    }
    (due,) = connection.execute(NEXT_DEATH, (boot, now)).fetchone()
    return dead, None if due is None else (due - now) / 1000


def is_dead(connection: sqlite3.Connection, owner: str, boot: str) -> bool:
    """Tell whether an owner is past its time, or not known."""
    found = connection.execute(OWNER, (owner,)).fetchone()
    if found is None:
        return True
    _, its_boot, expires = found
    return _is_past(its_boot, expires, boot)


def _is_past(its_boot: str, expires: int, boot: str) -> bool:
    return its_boot != boot or expires <= awake_ms()


def forget(connection: sqlite3.Connection, owner: str, limit: int, boot: str, *, force: bool) -> bool:
    """Give back up to `limit` records of an owner past its time; True: there may be more."""
    found = connection.execute(OWNER, (owner,)).fetchone()
    if found is None:
        return False
    key, its_boot, expires = found
    if not force and not _is_past(its_boot, expires, boot):
        return False
    if _give_back(connection, key, limit) == limit:
        connection.execute(DECLARE_DEAD, (key,))
        return True
    connection.execute(DROP_OWNER, (key,))
    return False


def _give_back(connection: sqlite3.Connection, key: int, limit: int) -> int:
    """Make records of an owner ready again at their old places; gives their number."""
    held = connection.execute(HELD, (key, limit)).fetchall()
    connection.executemany(GIVE_BACK, [(0, *row) for row in held])
    connection.executemany(UNLEASE, held)
    return len(held)
