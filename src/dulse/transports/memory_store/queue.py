"""One queue of the memory store: its ready records in order, and what it knows about the others."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from itertools import chain, islice
from operator import itemgetter

from dulse.model.records import Payload

Entry = tuple[int, Payload, float, int | None, int, "MemoryQueue", int]
"""A record: its place in the order of all, payload, since when it is ready (s), ttl_ms, deliveries, queue, priority.

A tuple, since a million of them may wait and each is made on the hot path.
"""

Level = deque[Entry]
"""The ready records of one priority, the oldest first."""

place = itemgetter(0)
"""Give the place of a record in the order of all."""


def _size(payloads: Iterable[Payload]) -> int:
    return sum(len(payload.body) for payload in payloads)


class MemoryQueue:
    """Not locked: the store holds its lock around every use."""

    __slots__ = ("bytes", "delayed", "levels", "name", "order")

    def __init__(self, name: str) -> None:
        self.name = name
        self.levels: dict[int, Level] = {}
        self.order: list[Level] = []
        """The same levels, the highest priority first."""
        self.delayed = 0
        self.bytes: int | None = None
        """Bytes of the ready records: not counted before somebody asks, then followed until the queue is empty."""

    def __repr__(self) -> str:
        return f"<MemoryQueue {self.name!r}: {self.ready()} ready, {self.delayed} delayed>"

    def level(self, priority: int) -> Level:
        """Give the records of one priority, which may be none so far."""
        found = self.levels.get(priority)
        if found is None:
            found = self.levels[priority] = deque()
            priorities = sorted(self.levels)
            self.order.insert(len(priorities) - 1 - priorities.index(priority), found)
        return found

    def ready(self) -> int:
        """Count the ready records."""
        return sum(map(len, self.order))

    def head(self, count: int) -> list[Entry]:
        """Look at the records that come next."""
        return list(islice(chain.from_iterable(self.order), max(0, count)))

    def restore(self, entry: Entry) -> None:
        """Put a record back to its old place.

        What comes back is nearly always as old as the head, so the search goes from there with growing steps.
        """
        level = self.level(entry[6])
        if self.bytes is not None:
            self.bytes += len(entry[1].body)
        order = entry[0]
        if not level or order < level[0][0]:
            level.appendleft(entry)
            return
        end = 1
        while end < len(level) and level[end][0] < order:
            end *= 2
        level.insert(bisect_left(level, order, end // 2, min(end, len(level)), key=place), entry)

    def clear(self) -> int:
        """Delete the ready records; gives their number."""
        count = self.ready()
        for level in self.order:
            level.clear()
        self.bytes = None
        return count

    # --------------------------------------------------------------------------------------------- bytes

    def size(self) -> int:
        """Give the bytes of the ready records, and have them followed from now on: unasked, they cost nothing."""
        if self.bytes is None:
            if not any(self.order):
                return 0
            self.bytes = _size(entry[1] for entry in chain.from_iterable(self.order))
        return self.bytes

    def excess(self, max_count: int | None, max_bytes: int | None) -> tuple[int, int]:
        """Give by how many records and bytes the queue is over its limits; not above 0: it is within."""
        count = 0 if max_count is None else self.ready() - max_count
        return count, 0 if max_bytes is None else self.size() - max_bytes

    def shrunk(self, taken: Iterable[Payload]) -> None:
        """Follow the bytes of what is no longer ready."""
        if self.bytes is not None:
            self.bytes = self.bytes - _size(taken) if any(self.order) else None

    # --------------------------------------------------------------------------------------------- expiry

    def expiry(self) -> float | None:
        """Tell when the first of the heads expires; only heads do, as in RabbitMQ's classic queues."""
        heads = [level[0] for level in self.order if level]
        return min((entry[2] + entry[3] / 1000 for entry in heads if entry[3] is not None), default=None)
