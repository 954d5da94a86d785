"""All that is open of one broker's folder, and how a step begins and ends under its lock."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dulse.links.clocks import read_boot
from dulse.transports.filesystem.catalogue import Catalogue
from dulse.transports.filesystem.delayed import Delayed
from dulse.transports.filesystem.failures import named
from dulse.transports.filesystem.header import Header
from dulse.transports.filesystem.journal import Journal
from dulse.transports.filesystem.line import Line
from dulse.transports.filesystem.lock import Lock
from dulse.transports.filesystem.names import folder_of
from dulse.transports.filesystem.owners import Owners
from dulse.transports.filesystem.place import Place, write_whole
from dulse.transports.filesystem.spares import Spares
from dulse.transports.filesystem.step import Step

__all__ = ["Broker"]

OPEN_LINES = 128
"""Queues whose folders stay open between steps."""


class Broker:
    """One Storage object's view of the folder."""

    def __init__(self, place: Place, *, durable: bool) -> None:
        self.place = place
        self.durable = durable
        self.lock = Lock(place.lock)
        self.header = Header(place.header)
        self.journal = Journal(place.journal)
        self.catalogue = Catalogue(place.catalogue, durable=durable)
        self.delayed = Delayed(place.delayed)
        self.owners = Owners(place.leased, "")
        self.spares = Spares(place.spares)
        self.boot = 0
        self.bell = -1
        self.is_open = False
        self.numbers = itertools.count(int.from_bytes(os.urandom(7), "big"))
        """Of takings: none comes twice, whoever takes."""
        self._current: Step | None = None
        self._is_disturbed = False
        """A step was cut short, so that what was counted in memory is not to be relied on."""
        self._lines: dict[str, Line] = {}

    def open(self) -> None:
        """Open all files, making the folder if it is not there."""
        boot = read_boot()
        self.owners = Owners(self.place.leased, boot)
        self.boot = int(boot.replace("-", "")[:15] or "1", 16)
        self.place.prepare()
        with named(self.place.root):
            self.lock.open()
            self.header.open()
            self.journal.open()
            self.bell = os.open(self.place.bell, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.is_open = True

    def close(self) -> None:
        """Let go of all files."""
        self.is_open = False
        self._lines = {}
        self.lock.close()
        self.header.close()
        self.journal.close()
        self.catalogue.close()
        bell, self.bell = self.bell, -1
        if bell >= 0:
            os.close(bell)

    def forget(self) -> None:
        """Close all in a forked child, whatever a thread of the parent was doing."""
        self.lock.forget()
        self._current, self._is_disturbed = None, False
        self.numbers = itertools.count(int.from_bytes(os.urandom(7), "big"))
        self.close()

    # -------------------------------------------------------------------------------------------- steps

    @contextlib.contextmanager
    def step(self, seconds: float) -> Iterator[Step]:
        """Hold the lock, see what is true now, and leave numbers that others can rely on.

        A signal handler that comes in between works on with what the step below it has seen and counted so far: numbers
        are read and written by statements that no handler can split.
        """
        with named(self.place.root), self.lock.held(seconds):
            is_nested = self.lock.depth > 1
            if not is_nested:
                self.header.load()
                if self.header.busy or self.header.boot != self.boot:
                    self._recover()
            outer = self._current if is_nested else None
            step = self._current = outer or Step(self)
            whole = False
            try:
                yield step
                whole = True
            finally:
                self._is_disturbed = self._is_disturbed or not whole
                self._current = outer
                if not is_nested:
                    for line in list(step.lines.values()):
                        line.finish(disturbed=self._is_disturbed)
                    self._is_disturbed = False
                self.header.store()

    def _recover(self) -> None:
        """Finish what somebody who died had begun."""
        header = self.header
        self.journal.finish()
        step = Step(self)
        for queue in self.catalogue.recover(header):
            step.drop(queue)
        header.boot, header.busy = self.boot, 0
        header.next_due = header.next_end = 1  # to be looked for
        header.store()

    def line(self, queue: str) -> Line | None:
        """Give the folder of a queue, if it has one."""
        line = self._lines.get(queue)
        if line is None:
            line = Line.find(f"{self.place.queues}/{folder_of(queue)}")
            if line is not None:
                self._keep(line)
        return line

    def make_line(self, queue: str) -> Line:
        """Give the folder of a queue, making it if there is none."""
        line = Line.make(f"{self.place.queues}/{folder_of(queue)}", queue)
        self._keep(line)
        return line

    def _keep(self, line: Line) -> None:
        while len(self._lines) >= OPEN_LINES:
            self._lines.pop(next(iter(self._lines)))
        self._lines[line.queue] = line

    def let_go(self, queue: str) -> None:
        """Look for the folder of a queue anew."""
        self._lines.pop(queue, None)

    def has_ready(self, queue: str) -> bool:
        """Tell without the lock whether a queue may have a ready record."""
        line = self.line(queue)
        if line is None:
            return False
        found = line.peek(self.boot)
        if found is None:
            self.let_go(queue)
            line = self.line(queue)
            found = line.peek(self.boot) if line else False
        return bool(found)

    def ready(self, queues: Sequence[str]) -> list[str]:
        """Name those of the queues that may have ready records."""
        return [queue for queue in queues if self.has_ready(queue)]

    def last_number(self, publisher: str) -> int:
        """Give the number of a publisher's last call that was written."""
        try:
            return int(Path(f"{self.place.publishers}/{folder_of(publisher)}").read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0

    def count(self, publisher: tuple[str, int]) -> None:
        """Remember a publisher's number."""
        write_whole(f"{self.place.publishers}/{folder_of(publisher[0])}", str(publisher[1]).encode())

    def ring(self) -> None:
        """Wake all who wait for records."""
        os.pwrite(self.bell, b"\0", 0)
