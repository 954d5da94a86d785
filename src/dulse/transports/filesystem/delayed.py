"""Records whose time has not come, by the minute and moment at which it does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from dulse.transports.filesystem.names import Entry

__all__ = ["Delayed", "Waiting"]

_MINUTE: Final = 60_000


class Waiting(NamedTuple):
    """A delayed record."""

    due: int
    fresh: bool
    """It was never ready: it goes to the end of its queue then, not to its old place."""
    folder: str
    """Of its queue."""
    entry: Entry
    path: str


class Delayed:
    """Used under the lock of the broker."""

    def __init__(self, root: str) -> None:
        self._root = root

    def place_of(self, due: int, folder: str, entry: Entry, *, fresh: bool) -> str:
        """Give the path of a record that is due then, and make its folder."""
        minute = f"{self._root}/{due // _MINUTE:010x}"
        with contextlib.suppress(FileExistsError):
            os.mkdir(minute, 0o700)
        return f"{minute}/{due:012x}.{fresh:d}.{folder}.{entry.name()}"

    def first(self) -> Iterator[Waiting]:
        """List all in the order in which they are due."""
        for minute in sorted(os.listdir(self._root)):
            names = sorted(os.listdir(f"{self._root}/{minute}"))
            for name in names:
                found = _read(name, f"{self._root}/{minute}/{name}")
                if found is not None:
                    yield found
            if not names:
                with contextlib.suppress(OSError):  # not empty after all
                    os.rmdir(f"{self._root}/{minute}")

    def of(self, folder: str) -> list[Waiting]:
        """List those of one queue."""
        return [each for each in self.first() if each.folder == folder]


def _read(name: str, path: str) -> Waiting | None:
    due, _, rest = name.partition(".")
    fresh, _, rest = rest.partition(".")
    folder, _, rest = rest.partition(".")
    entry = Entry.read(rest)
    if entry is None:
        return None
    return Waiting(int(due, 16), fresh == "1", folder, entry, path)
