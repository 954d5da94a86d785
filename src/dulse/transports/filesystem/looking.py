"""Looking without changing: depth, heads, and what is purged at once."""

from __future__ import annotations

import os
from collections import Counter

from dulse.model.records import Depth, Peeked
from dulse.transports.filesystem.step import Step
from dulse.transports.filesystem.taking import Taken, read

__all__ = ["depth", "heads", "purge"]


def depth(step: Step, queues: list[str]) -> list[Depth]:
    """Count what each queue holds."""
    delayed: Counter[str] = Counter()
    if step.header.next_due:
        delayed.update(each.folder for each in step.broker.delayed.first())
    found = []
    for queue in queues:
        line = step.line(queue)
        if line is None:
            found.append(Depth(0, 0, 0, 0))
            continue
        folder = os.path.basename(line.path)
        leased = step.broker.owners.held_of(folder)
        found.append(Depth(line.counters.count, leased, delayed[folder], line.counters.size))
    return found


def heads(step: Step, queue: str, count: int) -> list[Peeked]:
    """Look at the records that come next."""
    line = step.line(queue)
    found: list[Taken] = []
    for path, entry in line.entries() if line is not None else ():
        if len(found) >= count:
            break
        found.append(Taken(None, queue, entry, entry.deliveries, path))
    return [Peeked(each.payload, each.deliveries, each.age_ms, each.ttl_ms) for each in read(step.broker, found)]


def purge(step: Step, queue: str) -> int:
    """Move all ready records of a queue away; gives their number."""
    line = step.line(queue)
    if line is None or not line.counters.count:
        return 0
    number = line.counters.count
    counters = line.change()
    os.rename(f"{line.path}/ready", f"{step.broker.place.trash}/{os.urandom(8).hex()}")
    os.mkdir(f"{line.path}/ready", 0o700)
    counters.count = counters.size = counters.first_end = counters.priorities = 0
    counters.disorder += 1
    return number
