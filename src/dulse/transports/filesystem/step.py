"""The step: what is looked at and changed in a broker's folder under its lock."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dulse.links.clocks import wall_ms
from dulse.model.records import Guard, Put, Target
from dulse.transports.filesystem.catalogue import Catalogue
from dulse.transports.filesystem.journal import Plan
from dulse.transports.filesystem.line import Line
from dulse.transports.filesystem.names import Entry
from dulse.transports.filesystem.owners import Held
from dulse.virtual.storage import StaleTopology

if TYPE_CHECKING:
    from dulse.transports.filesystem.broker import Broker

__all__ = ["Step"]


class Step:
    """What is looked at and changed under the lock."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.header = broker.header
        self.lines: dict[str, Line] = {}

    def catalogue(self) -> Catalogue:
        """Give the catalogue as it is now."""
        self.broker.catalogue.catch_up(self.header.epoch, self.header.end)
        return self.broker.catalogue

    def stale(self, guards: Sequence[Guard]) -> str | None:
        """Name the first group whose guard does not hold."""
        if guards:
            known = self.catalogue()
            for group, revision in guards:
                if known.revision(group) != revision:
                    return group
        return None

    def line(self, queue: str) -> Line | None:
        """Give a queue that has a folder."""
        line = self.lines.get(queue)
        if line is not None:
            return line
        for _ in range(2):
            line = self.broker.line(queue)
            if line is None:
                return None
            if line.load(self.broker.boot):
                self.lines[queue] = line
                return line
            self.broker.let_go(queue)
        return None

    def make_line(self, queue: str) -> Line:
        """Give a queue, with a folder from now on."""
        line = self.line(queue)
        if line is None:
            line = self.broker.make_line(queue)
            line.load(self.broker.boot)
            self.lines[queue] = line
        return line

    def line_in(self, folder: str) -> Line | None:
        """Give the queue of a folder."""
        for line in self.lines.values():
            if line.path.endswith(f"/{folder}"):
                return line
        found = Line.find(f"{self.broker.place.queues}/{folder}")
        return self.line(found.queue) if found else None

    def parked(self, puts: Sequence[Put], guards: Sequence[Guard], park: str | None) -> list[Put]:
        """Give the puts as they go to the queue `park` where a guard does not hold; none: all of them hold."""
        stale = self.stale(guards)
        if stale is None:
            return []
        if park is None:
            raise StaleTopology(stale)
        return [put._replace(targets=(Target(park),)) for put in puts]

    def carry_out(self, plan: Plan) -> None:
        """Do several changes of the folder as one."""
        if not plan.links and not plan.unlinks:
            return
        with self._busy():
            self.broker.journal.carry_out(plan)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Have whoever comes after a death finish what is done here."""
        before = self.header.busy
        self.header.busy = 1
        self.header.store()
        try:
            yield
        finally:
            self.header.busy = before
            self.header.store()

    def delay(self, line: Line, entry: Entry, due: int, *, fresh: bool) -> str:
        """Give the path at which a record waits until it is due."""
        if not self.header.next_due or due < self.header.next_due:
            self.header.next_due = due
            self.header.store()
        return self.broker.delayed.place_of(due, os.path.basename(line.path), entry, fresh=fresh)

    def soon_ends(self, dies: int | None) -> None:
        """Have the end of a ready record looked for in time."""
        if dies is not None and (not self.header.next_end or dies < self.header.next_end):
            self.header.next_end = dies
            self.header.store()

    def release(self, held: Held, delay_ms: int, *, counted: bool) -> bool:
        """Put a taken record to its old place, at once or later; False: it was taken no longer."""
        entry = Entry.read(held.name)
        line = self.line_in(held.folder)
        if entry is None or line is None or not os.path.exists(held.path):
            return False
        back = entry._replace(deliveries=max(0, entry.deliveries - (not counted)))
        line.change()
        if delay_ms:
            os.rename(held.path, self.delay(line, back, wall_ms() + delay_ms, fresh=False))
        else:
            os.rename(held.path, line.place_of(back))
            line.added(back, at_the_end=False)
            self.soon_ends(back.dies)
        return True

    def give_back(self, owner: str, limit: int) -> bool:
        """Give back up to `limit` records that an owner holds; True: it holds more, False: it is forgotten."""
        owners = self.broker.owners
        number = 0
        for held in owners.held(owner):
            if number == limit:
                owners.declare_dead(owner)
                self.broker.ring()
                return True
            self.release(held, 0, counted=True)
            number += 1
        owners.remove(owner)
        if number:
            self.broker.ring()
        return False

    def change_catalogue(self, writes: Mapping[tuple[str, str], str | None], drop: Sequence[str]) -> None:
        """Write groups and drop queues: done from the moment at which the catalogue says so."""
        with self._busy():
            self.catalogue().append(self.header, writes, drop)
            for queue in drop:
                self.drop(queue)
            self.broker.catalogue.shorten(self.header)

    def drop(self, queue: str) -> None:
        """Delete a queue's ready, delayed and taken records, and its folder."""
        line = self.line(queue)
        if line is None:
            return
        place = self.broker.place
        folder = os.path.basename(line.path)
        line.drop()
        self.lines.pop(queue, None)
        self.broker.let_go(queue)
        self.broker.owners.drop(folder, place.trash)
        if self.header.next_due:
            for each in self.broker.delayed.of(folder):
                os.unlink(each.path)
        os.rename(line.path, f"{place.trash}/{os.urandom(8).hex()}")
