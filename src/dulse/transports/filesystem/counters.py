"""What a queue's folder has in one glance, so that nobody lists it to know."""

from __future__ import annotations

import os
from struct import Struct
from typing import Final

__all__ = ["CLEAN", "DIRTY", "GONE", "Counters"]

_FORM: Final = Struct(">QQQQQQQ32s")

CLEAN: Final = 3
"""Not zero, which is what a power loss leaves in a file that was not written to the disk."""
DIRTY: Final = 1
"""A step is under way; seen under the lock: it was not finished, and only the folder itself tells what is in it."""
GONE: Final = 2
"""The queue was dropped, and this file with it."""


class Counters:
    """The numbers of one queue, in a file of its folder."""

    __slots__ = ("boot", "count", "descriptor", "disorder", "first_end", "next_place", "priorities", "size", "state")

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.state = DIRTY
        self.boot = 0
        self.next_place = 1
        """Of the next record that is put."""
        self.disorder = 0
        """How often a record was put elsewhere than at the end."""
        self.count = 0
        """Ready records."""
        self.size = 0
        """Their bytes."""
        self.first_end = 0
        """When (ms) the first ready record outlives its time, or earlier; 0: none does."""
        self.priorities = 0
        """Bit n: there may be ready records of priority n."""

    def __del__(self) -> None:
        """Give the descriptor back."""
        if (descriptor := getattr(self, "descriptor", -1)) >= 0:
            os.close(descriptor)

    @staticmethod
    def glance(descriptor: int) -> tuple[int, int, int]:
        """Read state, boot and number of ready records, at any time."""
        found = os.pread(descriptor, _FORM.size, 0)
        if len(found) < _FORM.size:
            return DIRTY, 0, 0
        state, boot, _, _, count, *_ = _FORM.unpack(found)
        return state, boot, count

    def load(self) -> None:
        """Read what others have written."""
        found = os.pread(self.descriptor, _FORM.size, 0)
        if len(found) < _FORM.size:
            self.state = DIRTY
            return
        (
            self.state,
            self.boot,
            self.next_place,
            self.disorder,
            self.count,
            self.size,
            self.first_end,
            priorities,
        ) = _FORM.unpack(found)
        self.priorities = int.from_bytes(priorities, "big")

    def store(self, state: int) -> None:
        """Write all, with a state."""
        self.state = state
        data = _FORM.pack(
            state,
            self.boot,
            self.next_place,
            self.disorder,
            self.count,
            self.size,
            self.first_end,
            self.priorities.to_bytes(32, "big"),
        )
        os.pwrite(self.descriptor, data, 0)
