"""What time brings about: delayed records that become ready, and ready ones that outlive their time."""

from __future__ import annotations

import os

from dulse.links.clocks import wall_ms
from dulse.transports.filesystem.broker import Broker
from dulse.transports.filesystem.step import Step

__all__ = ["find_expired", "promote"]


def promote(step: Step, limit: int) -> list[str]:
    """Make up to `limit` delayed records ready whose time has come; gives their queues."""
    now = wall_ms()
    found: dict[str, None] = {}
    next_due = 0
    for number, each in enumerate(step.broker.delayed.first()):
        if each.due > now or number == limit:
            next_due = each.due
            break
        line = step.line_in(each.folder)
        if line is None:
            os.unlink(each.path)
            continue
        entry = each.entry
        if each.fresh:
            entry = entry._replace(place=line.next_place())
        os.rename(each.path, line.place_of(entry))
        line.added(entry, at_the_end=each.fresh)
        step.soon_ends(entry.dies)
        found[line.queue] = None
    step.header.next_due = next_due
    step.header.store()
    if found:
        step.broker.ring()
    return list(found)


def find_expired(broker: Broker, step: Step) -> tuple[list[str], int | None]:
    """Name the queues with ready records past their time; give when the next one is (ms)."""
    now = wall_ms()
    expired, ends, coming = [], [], []
    for folder in os.listdir(broker.place.queues):
        line = step.line_in(folder)
        if line is None or not line.counters.first_end:
            continue
        first = line.counters.first_end
        if first <= now:
            mortal = sorted(entry.dies for _, entry in line.entries() if entry.dies is not None)
            first = mortal[0] if mortal else 0
            if first != line.counters.first_end:
                line.change().first_end = first
            if first and first <= now:
                expired.append(line.queue)
            coming += [dies for dies in mortal if dies > now][:1]
        else:
            coming.append(first)
        if first:
            ends.append(first)
    step.header.next_end = min(ends, default=0)
    step.header.store()
    return expired, min(coming, default=None)
