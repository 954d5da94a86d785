"""What time brings about: delayed records that become ready, and records that outlive their time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dulse.model.records import Swept
from dulse.transports.sql.limits import mark_limited
from dulse.transports.sql.link import Link
from dulse.transports.sql.names import shown

__all__ = ["is_due", "look", "promote"]

NEXT_DUE: Final = "SELECT min(due), {now} FROM dulse_record WHERE due IS NOT NULL"
DUE: Final = """
SELECT id, queue, fresh FROM dulse_record WHERE due IS NOT NULL AND due <= {now} ORDER BY due, id LIMIT %s {skip}
"""
READY: Final = "UPDATE dulse_record SET due = NULL WHERE id {ids}"
TO_THE_END: Final = """
INSERT INTO dulse_record (queue, step, since, dies, due, fresh, size, deliveries, payload)
SELECT queue, step, since, dies, NULL, 0, size, deliveries, payload FROM dulse_record WHERE id {ids} ORDER BY due, id
"""
DELETE: Final = "DELETE FROM dulse_record WHERE id {ids}"
_MORTAL: Final = "FROM dulse_record WHERE dies IS NOT NULL AND owner IS NULL AND due IS NULL AND dies"
EXPIRED: Final = f"SELECT DISTINCT queue {_MORTAL} <= {{now}}"
NEXT_END: Final = f"SELECT min(dies), {{now}} {_MORTAL} > {{now}}"


def is_due(link: Link) -> bool:
    """Tell whether a delayed record's time has come."""
    due, now = link.rows(NEXT_DUE)[0]
    return due is not None and due <= now


def promote(link: Link, limit: int) -> list[str]:
    """Make up to `limit` delayed records ready whose time has come; gives their queues."""
    rows = link.rows(DUE, (limit,))
    fresh = [record for record, _, is_fresh in rows if is_fresh]
    released = [record for record, _, is_fresh in rows if not is_fresh]
    if fresh:
        link.run_among(TO_THE_END, fresh)
        link.run_among(DELETE, fresh)
    if released:
        link.run_among(READY, released)
    queues = {queue for _, queue, _ in rows}
    link.notify(queues)
    mark_limited(link, queues)
    return list(dict.fromkeys(shown(queue) for _, queue, _ in rows))


def look(link: Link, promoted: Sequence[str]) -> Swept:
    """Tell where records have outlived their time, and when there will be something to do."""
    expired = [shown(queue) for (queue,) in link.rows(EXPIRED)]
    times = [*link.rows(NEXT_DUE), *link.rows(NEXT_END)]
    coming = [max(0, due - now) / 1000 for due, now in times if due is not None]
    return Swept(promoted, expired, min(coming, default=None))
