"""One queue in its folder: where ready records stand in line, and what it takes to find the next one."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dulse.transports.filesystem.counters import CLEAN, DIRTY, GONE, Counters
from dulse.transports.filesystem.names import Entry
from dulse.transports.filesystem.place import make_folder, write_whole

__all__ = ["Line"]

SEGMENT_BITS: Final = 10
"""A folder holds the names of 1024 places: looking for the next record costs the same however many there are."""

HIGHEST: Final = 255

LEAP: Final = 1 << 20
"""More places than are taken between the last time that the numbers reached the disk and a power loss."""


class Line:
    """Used under the lock of the broker, but for `peek`.

    What it remembers of a folder may be outdated: then a name is not found there, and the next one is tried. A name
    that it does not remember comes later, or has changed `disorder`.
    """

    def __init__(self, path: str, queue: str) -> None:
        self.path = path
        self.queue = queue
        self._counters = Counters(f"{path}/counters")
        self._waiting: dict[int, deque[str]] = {}
        self._seen_disorder = -1
        self._changed = False

    @classmethod
    def make(cls, path: str, queue: str) -> Line:
        """Make the folder of a queue, or open it."""
        if make_folder(path):
            make_folder(f"{path}/ready")
        if not os.path.exists(f"{path}/name"):
            make_folder(f"{path}/ready")
            write_whole(f"{path}/name", queue.encode("utf-8", "surrogatepass"))
        return cls(path, queue)

    @classmethod
    def find(cls, path: str) -> Line | None:
        """Open the folder of a queue, if there is one."""
        try:
            queue = Path(f"{path}/name").read_bytes().decode("utf-8", "surrogatepass")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return cls(path, queue)

    @property
    def counters(self) -> Counters:
        """Give the numbers as they were loaded."""
        return self._counters

    def peek(self, boot: int) -> bool | None:
        """Tell without the lock whether there may be ready records; None: the queue was dropped."""
        state, counted_in, count = Counters.glance(self._counters.descriptor)
        return None if state == GONE else state != CLEAN or counted_in != boot or count > 0

    # -------------------------------------------------------------------------------------------- steps

    def load(self, boot: int) -> bool:
        """Begin with what is true now, counting anew where a step was not finished; False: the queue was dropped."""
        counters = self._counters
        counters.load()
        if counters.state == GONE:
            return False
        if counters.state != CLEAN or counters.boot != boot:
            self._recount(boot)
        if counters.disorder != self._seen_disorder:
            self._waiting.clear()
            self._seen_disorder = counters.disorder
        return True

    def change(self) -> Counters:
        """Give the numbers to be changed; until `finish` they are marked as not to be relied on."""
        if not self._changed:
            self._changed = True
            self._counters.store(DIRTY)
        return self._counters

    def finish(self, *, disturbed: bool) -> None:
        """Have the numbers relied on again, unless another step came in between."""
        if self._changed:
            self._changed = False
            if not disturbed:
                self._counters.store(CLEAN)

    def drop(self) -> None:
        """Mark it as dropped for all who have it open."""
        self._changed = False
        self._counters.store(GONE)

    # ------------------------------------------------------------------------------------------- records

    def next_place(self) -> int:
        """Give the place behind all others, once."""
        counters = self.change()
        place = counters.next_place
        counters.next_place = place + 1
        return place

    def place_of(self, entry: Entry) -> str:
        """Give the path at which a ready record stands, and make its folder."""
        self._ensure(entry)
        return f"{self._segment(entry)}/{entry.name()}"

    def _segment(self, entry: Entry) -> str:
        return f"{self.path}/ready/{HIGHEST - entry.priority:02x}/{entry.place >> SEGMENT_BITS:09x}"

    def _ensure(self, entry: Entry) -> None:
        """Make the folder of a segment, where its first place is taken or an old one is taken again."""
        segment = self._segment(entry)
        if not os.path.isdir(segment):
            os.makedirs(os.path.dirname(segment), 0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(segment, 0o700)

    def added(self, entry: Entry, *, at_the_end: bool) -> None:
        """Count a record that is ready now."""
        counters = self.change()
        counters.count += 1
        counters.size += entry.size
        counters.priorities |= 1 << entry.priority
        if entry.dies is not None and (not counters.first_end or entry.dies < counters.first_end):
            counters.first_end = entry.dies
        if not at_the_end:
            counters.disorder += 1
            self._seen_disorder = counters.disorder
            self._waiting.pop(entry.priority, None)

    def removed(self, entry: Entry) -> None:
        """Count a record that is ready no longer."""
        counters = self.change()
        counters.count -= 1
        counters.size -= entry.size

    def heads(self) -> Iterator[tuple[str, Entry]]:
        """Give path and entry of what comes next, again and again; who moves it away calls `removed`.

        A path may have gone meanwhile: whoever finds that goes on to the next.
        """
        for priority in range(self._counters.priorities.bit_length() - 1, -1, -1):
            if not self._counters.priorities >> priority & 1:
                continue
            while self._counters.count:
                waiting = self._waiting.get(priority)
                if not waiting:
                    count = self._counters.count
                    waiting = self._look(priority)
                    if not waiting:
                        counters = self.change()
                        if counters.count == count:  # else a signal handler has just put a record
                            counters.priorities &= ~(1 << priority)
                        break
                name = waiting.popleft()
                entry = Entry.read(name)
                if entry is not None:
                    yield f"{self._segment(entry)}/{name}", entry

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """List all ready records in order."""
        for priority in _numbers(f"{self.path}/ready"):
            for segment in sorted(_listed(f"{self.path}/ready/{priority}")):
                folder = f"{self.path}/ready/{priority}/{segment}"
                for name in sorted(_listed(folder)):
                    entry = Entry.read(name)
                    if entry is not None:
                        yield f"{folder}/{name}", entry

    def dead(self, now: int) -> list[tuple[str, Entry]]:
        """List the ready records that have outlived their time."""
        if not 0 < self._counters.first_end <= now:
            return []
        return [each for each in self.entries() if each[1].dies is not None and each[1].dies <= now]

    def _look(self, priority: int) -> deque[str]:
        """List the first segment that has records; delete those before it, which have none."""
        folder = f"{self.path}/ready/{HIGHEST - priority:02x}"
        last = self._counters.next_place >> SEGMENT_BITS
        for segment in sorted(_listed(folder)):
            names = sorted(_listed(f"{folder}/{segment}"))
            if names:
                self._waiting[priority] = found = deque(names)
                return found
            if int(segment, 16) < last:
                with contextlib.suppress(OSError):  # not empty after all
                    os.rmdir(f"{folder}/{segment}")
        return deque()

    def _recount(self, boot: int) -> None:
        """Count what is in the folder."""
        counters = self.change()
        counters.count = counters.size = counters.priorities = counters.first_end = 0
        counters.disorder += 1
        if counters.boot not in {0, boot}:
            counters.next_place += LEAP  # what was counted last may not have reached the disk
        last = counters.next_place - 1
        for _, entry in self.entries():
            counters.count += 1
            counters.size += entry.size
            counters.priorities |= 1 << entry.priority
            last = max(last, entry.place)
            if entry.dies is not None and (not counters.first_end or entry.dies < counters.first_end):
                counters.first_end = entry.dies
        counters.next_place = last + 1
        counters.boot = boot


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _numbers(folder: str) -> list[str]:
    """List the folders of the priorities, the highest first."""
    return sorted(name for name in _listed(folder) if len(name) == 2)  # noqa: PLR2004 - two digits
