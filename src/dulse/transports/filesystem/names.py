"""What names in the folder tell: of a record everything but its bytes; of a queue or owner, which folder is its own."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

__all__ = ["Entry", "bytes_alone", "delivered", "folder_of"]

_READABLE: Final = 40
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")

_FIELDS: Final = 10
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
    names: int
    """How many names the file got: with one it is this record's alone."""
    checksum: int
    """CRC-32 of the bytes."""

    def name(self) -> str:
        """Write the name among ready records."""
        dies = "" if self.dies is None else f"{self.dies:x}"
        return (
            f"{self.place:012x}.{self.priority:x}.{self.since:x}.{dies}.{self.deliveries:x}"
            f".{self.offset:x}.{self.length:x}.{self.size:x}.{self.names:x}.{self.checksum:x}"
        )

    @classmethod
    def read(cls, name: str) -> Entry | None:
        """Read a name, also that of a taken record; None: it is none of ours."""
        parts = name.split(".")
        if len(parts) > _FIELDS + 1:
            return None
        try:
            place, priority, since, dies, deliveries, offset, length, size, names, checksum = parts[:_FIELDS]
            return cls(
                int(place, 16),
                int(priority, 16),
                int(since, 16),
                int(dies, 16) if dies else None,
                int(deliveries, 16),
                int(offset, 16),
                int(length, 16),
                int(size, 16),
                int(names, 16),
                int(checksum, 16),
            )
        except ValueError:
            return None


def delivered(name: str, deliveries: int, taking: int) -> str:
    """Write the name of a ready record for the taking of this number, from which on it was delivered so often."""
    parts = name.split(".")
    return f"{'.'.join(parts[:4])}.{deliveries:x}.{'.'.join(parts[5:_FIELDS])}.{taking:x}"


def bytes_alone(name: str) -> int | None:
    """Give the bytes of a record, by its name, that has its file for itself; None: there may be others in it."""
    parts = name.split(".")
    return int(parts[6], 16) if len(parts) > _FIELDS - 1 and parts[8] == "1" else None


@lru_cache(maxsize=1024)
def folder_of(name: str) -> str:
    """Give the folder of a queue or owner: what can be read of its name, and what tells it from all others.

    Nothing in a name can lead out of the broker's folder, and no name is too long for a file system.
    """
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    return f"{_UNSAFE.sub('_', name[:_READABLE])}-{digest}"
