"""What names in the folder tell: of a record everything but its bytes; of a queue or owner, which folder is its own."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, NamedTuple

__all__ = ["Entry", "folder_of"]

_READABLE: Final = 40
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")

_FIELDS: Final = 8
"""Of an entry's name; one that is taken has the number of the taking behind them."""


class Entry(NamedTuple):
    """A record: its name in a folder is these numbers; its bytes are a part of the file that the name leads to.

    Names of one priority sort by place, the order of a queue.
    """

    place: int
    priority: int
    since: int
    """When it was put (or became ready), wall clock in ms."""
    dies: int | None
    """When its time to live is over."""
    deliveries: int
    offset: int
    length: int
    size: int
    """The bytes that count towards a limit."""

    def name(self) -> str:
        """Write the name among ready records."""
        dies = "" if self.dies is None else f"{self.dies:x}"
        return (
            f"{self.place:012x}.{self.priority:x}.{self.since:x}.{dies}.{self.deliveries:x}"
            f".{self.offset:x}.{self.length:x}.{self.size:x}"
        )

    @classmethod
    def read(cls, name: str) -> Entry | None:
        """Read a name, also that of a taken record; None: it is none of ours."""
        parts = name.split(".")
        if len(parts) not in {_FIELDS, _FIELDS + 1}:
            return None
        try:
            numbers = [int(part, 16) if part else None for part in parts[:_FIELDS]]
        except ValueError:
            return None
        place, priority, since, dies, deliveries, offset, length, size = numbers
        if place is None or priority is None or since is None or deliveries is None:
            return None
        if offset is None or length is None or size is None:
            return None
        return cls(place, priority, since, dies, deliveries, offset, length, size)


def folder_of(name: str) -> str:
    """Give the folder of a queue or owner: what can be read of its name, and what tells it from all others.

    Nothing in a name can lead out of the broker's folder, and no name is too long for a file system.
    """
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    return f"{_UNSAFE.sub('_', name[:_READABLE])}-{digest}"
