"""What queues with a limit hold: counted when there may be no room left, and known by addition until then.

The table `dulse_limited` has for each such queue what it can have ready at most. `put` adds to that under the row's
lock; takings only make it less, and are not written there. Whoever else makes records ready leaves a row in
`dulse_uncounted`, which costs nobody a lock: then the next `put` counts. So does a queue that would be over its limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from dulse.model.records import Target
from dulse.transports.sql.link import Link
from dulse.transports.sql.names import stored

__all__ = ["Filling", "count", "excess", "has_limit", "lock_limits", "mark_limited", "mark_uncounted"]

LOCK_LIMIT: Final = {
    "postgresql": "INSERT INTO dulse_limited VALUES (%s) ON CONFLICT (queue) DO UPDATE SET queue = excluded.queue",
    "mysql": "INSERT INTO dulse_limited VALUES (%s, NULL, NULL) ON DUPLICATE KEY UPDATE queue = VALUES(queue)",
    "sqlite": "INSERT INTO dulse_limited (queue) VALUES (%s) ON CONFLICT (queue) DO NOTHING",
}
AT_MOST: Final = "SELECT records, size FROM dulse_limited WHERE queue = %s"
REMEMBER: Final = "UPDATE dulse_limited SET records = %s, size = %s WHERE queue = %s"
MARK: Final = "INSERT INTO dulse_uncounted (queue) VALUES (%s)"
MARK_LIMITED: Final = (
    "INSERT INTO dulse_uncounted (queue) SELECT queue FROM dulse_limited WHERE queue = %s AND records IS NOT NULL"
)
MARKS: Final = "SELECT id FROM dulse_uncounted WHERE queue = %s {skip}"
"""Of those who have committed: nobody waits for the others, whose records cannot be counted yet."""
UNMARK: Final = "DELETE FROM dulse_uncounted WHERE id {ids}"
COUNT: Final = """
SELECT count(*), coalesce(sum(size), 0) FROM dulse_record WHERE queue = %s AND owner IS NULL AND due IS NULL
"""


def has_limit(target: Target) -> bool:
    """Tell whether the queue may be over a limit after a put."""
    return target.max_count is not None or target.max_bytes is not None


def excess(target: Target, number: int, size: int) -> tuple[int, int]:
    """Give by how many records and bytes a queue that holds so much is over its limits."""
    over = 0 if target.max_count is None else max(0, number - target.max_count)
    return over, 0 if target.max_bytes is None else max(0, size - target.max_bytes)


def count(link: Link, queue: str) -> tuple[int, int]:
    """Give the number of the ready records of a queue, and of their bytes."""
    number, size = link.rows(COUNT, (stored(queue),))[0]
    return number, int(size)


def lock_limits(link: Link, queues: Iterable[str]) -> None:
    """Let nobody else put into these queues, or count them, until the end of the transaction."""
    for queue in sorted(set(queues)):
        link.run(LOCK_LIMIT[link.dialect.name], (stored(queue),))


def mark_uncounted(link: Link, queues: Iterable[str]) -> None:
    """Have these queues counted at the next occasion."""
    for queue in dict.fromkeys(queues):
        link.run(MARK, (stored(queue),))


def mark_limited(link: Link, queues: Iterable[str]) -> None:
    """Have those of these queues counted that have limits; named as the database has them."""
    for queue in dict.fromkeys(queues):
        link.run(MARK_LIMITED, (queue,))


class Filling:
    """How full some queues are while something is put into them."""

    def __init__(self, link: Link, most: dict[str, tuple[int, int] | None]) -> None:
        self._link = link
        self._most = most
        """What each holds at most; None: it has to be counted."""
        self._added = dict.fromkeys(most, (0, 0))
        self._counted: set[str] = set()

    @classmethod
    def locked(cls, link: Link, queues: Sequence[str]) -> Filling:
        """Lock these queues, and give what is known of them."""
        lock_limits(link, queues)
        most: dict[str, tuple[int, int] | None] = {}
        for queue in dict.fromkeys(queues):
            known = link.rows(AT_MOST, (stored(queue),))[0]
            marks = [number for (number,) in link.rows(MARKS, (stored(queue),))]
            if marks:
                link.run_among(UNMARK, marks)
            most[queue] = None if marks or known[0] is None else (known[0], known[1])
        return cls(link, most)

    @classmethod
    def seen(cls, link: Link, queues: Sequence[str]) -> Filling:
        """Give the same without a lock, to be counted."""
        return cls(link, dict.fromkeys(queues))

    def excess(self, target: Target, more: int = 0, size: int = 0) -> tuple[int, int]:
        """Give by how much a queue is over its limits if so much is added; it is counted before it is said to be."""
        queue = target.queue
        added = self._added[queue]
        for _ in range(2):
            most = self._most[queue]
            if most is not None:
                over = excess(target, most[0] + added[0] + more, most[1] + added[1] + size)
                if over == (0, 0) or queue in self._counted:
                    return over
            self._most[queue] = count(self._link, queue)
            self._counted.add(queue)
        raise AssertionError(queue)

    def add(self, queue: str, size: int) -> None:
        """Count a record that will be written."""
        if queue in self._added:
            number, before = self._added[queue]
            self._added[queue] = number + 1, before + size

    def remember(self) -> None:
        """Write down what the queues hold at most, now that all is written."""
        for queue, most in self._most.items():
            if most is not None:
                number, size = self._added[queue]
                self._link.run(REMEMBER, (most[0] + number, most[1] + size, stored(queue)))
