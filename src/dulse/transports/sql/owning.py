"""Who holds records and until when, and giving back what the dead held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dulse.transports.sql.limits import mark_limited
from dulse.transports.sql.link import Link
from dulse.transports.sql.names import shown

__all__ = ["dead_owners", "forget", "held", "hold", "is_dead", "renew", "slack"]

OWNER: Final = "SELECT id, expires, {now} FROM dulse_owner WHERE name = %s {lock}"
ADD_OWNER: Final = "INSERT INTO dulse_owner (name, expires) VALUES (%s, {now} + CAST(%s AS {int}))"
EXTEND: Final = "UPDATE dulse_owner SET expires = {now} + CAST(%s AS {int}) WHERE id = %s"
DECLARE_DEAD: Final = "UPDATE dulse_owner SET expires = 0 WHERE id = %s"
DROP_OWNER: Final = "DELETE FROM dulse_owner WHERE id = %s"
ALL: Final = "SELECT name, expires, {now} FROM dulse_owner ORDER BY id"
HELD: Final = "SELECT id, queue FROM dulse_record WHERE owner = %s LIMIT %s"
TOKENS: Final = "SELECT id, token FROM dulse_record WHERE owner = (SELECT id FROM dulse_owner WHERE name = %s)"
GIVE_BACK: Final = "UPDATE dulse_record SET owner = NULL, token = NULL WHERE owner = %s AND id {ids}"

SLACK: Final = 20
MOST_SLACK_MS: Final = 250
"""A take leaves the owner's time alone while this much of it, or a twentieth, has passed: one write less a take."""

EVERYTHING: Final = 1 << 40


def hold(link: Link, owner: str, lease_ms: int, slack_ms: int) -> tuple[int, bool]:
    """Register an owner, or keep it for `lease_ms` (less `slack_ms`) from now; gives its number and if it was known."""
    found = link.rows(OWNER, (owner,))
    if not found:
        link.run(ADD_OWNER, (owner, lease_ms))
        return link.rows(OWNER, (owner,))[0][0], False
    number, expires, now = found[0]
    known = expires != 0
    if not known:
        _give_back(link, number, EVERYTHING)
    if not known or expires < now + lease_ms - slack_ms:
        link.run(EXTEND, (lease_ms, number))
    return number, known


def slack(lease_ms: int) -> int:
    """Give by how much less than a lease a take may leave its owner."""
    return min(lease_ms // SLACK, MOST_SLACK_MS)


def renew(link: Link, owner: str, lease_ms: int) -> bool:
    """Keep an owner for `lease_ms` from now; False: it was not known, or had been declared dead."""
    return hold(link, owner, lease_ms, 0)[1]


def held(link: Link, owner: str) -> list[tuple[int, int]]:
    """Give the tokens of all that an owner holds."""
    return [(record, token) for record, token in link.rows(TOKENS, (owner,))]


def dead_owners(link: Link) -> tuple[Mapping[str, float], float | None]:
    """Name the owners past their time with the seconds since; give those until the next is."""
    rows = link.rows(ALL)
    dead = {shown(name): (now - expires) / 1000 for name, expires, now in rows if expires <= now}
    coming = [expires - now for _, expires, now in rows if expires > now]
    return dead, min(coming) / 1000 if coming else None


def is_dead(link: Link, owner: str) -> bool:
    """Tell whether an owner is past its time, or not known; it stays so until the end of the transaction."""
    return all(expires <= now for _, expires, now in link.rows(OWNER, (owner,)))


def forget(link: Link, owner: str, limit: int, *, force: bool) -> bool:
    """Give back up to `limit` records of an owner past its time; True: there may be more."""
    found = link.rows(OWNER, (owner,))
    if not found:
        return False
    number, expires, now = found[0]
    if not force and expires > now:
        return False
    if _give_back(link, number, limit) == limit:
        link.run(DECLARE_DEAD, (number,))
        return True
    link.run(DROP_OWNER, (number,))
    return False


def _give_back(link: Link, number: int, limit: int) -> int:
    """Make records of an owner ready again at their old places; gives their number."""
    rows = link.rows(HELD, (number, limit))
    if rows:
        link.run_among(GIVE_BACK, [record for record, _ in rows], number)
        queues = {queue for _, queue in rows}
        link.notify(queues)
        mark_limited(link, queues)
    return len(rows)
