"""Files of settled records, kept to be written again: making a file costs a file system more than all the rest.

(ext4 does not give out the inode of a file that was deleted within the last minutes, and looks at each such one anew
for every file that is made: 0.5 ms a file was seen.)
"""

from __future__ import annotations

import os
from collections import deque
from typing import Final

__all__ = ["Spares"]

LARGEST: Final = 65536
"""Bytes of a record whose file is kept."""

MOST: Final = 1024
"""Files kept, give or take what is given between two counts."""

COUNT_EVERY: Final = 64


class Spares:
    """Any thread and process may take and give at any time: a file is its own that has renamed it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: deque[str] = deque()
        self._given = 0
        self._looked = False
        self._is_full = False

    def take(self, path: str) -> bool:
        """Move a spare file to `path`; False: there is none."""
        while True:
            try:
                name = self._known.popleft()
            except IndexError:
                if not self._look():
                    return False
                continue
            try:
                os.rename(f"{self._root}/{name}", path)
            except FileNotFoundError:
                continue
            return True

    def _look(self) -> bool:
        """See which there are, at every 64th file that is needed while there are none."""
        self._given += 1
        if self._looked and self._given % COUNT_EVERY:
            return False
        self._looked = True
        self._known.extend(os.listdir(self._root)[:COUNT_EVERY])
        return bool(self._known)

    def give(self, path: str, size: int) -> None:
        """Keep the file at `path`, which is nobody else's, or delete it; raises FileNotFoundError if it is gone."""
        self._given += 1
        if not self._given % COUNT_EVERY:
            self._is_full = len(os.listdir(self._root)) >= MOST
        if self._is_full or size > LARGEST:
            os.unlink(path)
            return
        name = os.urandom(8).hex()
        os.rename(path, f"{self._root}/{name}")
        if len(self._known) < COUNT_EVERY:
            self._known.append(name)
