"""The numbers that all processes of a broker share: how far the catalogue goes, and when something falls due."""

from __future__ import annotations

import os
from struct import Struct
from typing import Final

__all__ = ["Header"]

_FORM: Final = Struct(">QQQQQQ")


class Header:
    """Read and written under the lock; `peek` may be called at any time."""

    __slots__ = ("_descriptor", "_path", "_stored", "boot", "busy", "end", "epoch", "next_due", "next_end")

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._stored = b""
        self.boot = 0
        """The running of the machine in which all this was true."""
        self.busy = 0
        """Whether a step of several parts is under way; seen under the lock: its process died in the middle of it."""
        self.epoch = 0
        """How often the catalogue was written anew."""
        self.end = 0
        """Bytes of the catalogue that are true."""
        self.next_due = 0
        """When (ms) the first delayed record becomes ready; 0: there is none."""
        self.next_end = 0
        """When (ms) the first ready record outlives its time, or earlier; 0: none does."""

    def open(self) -> None:
        """Open the file, making it if there is none."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def load(self) -> None:
        """Read what all others have written."""
        self._stored = os.pread(self._descriptor, _FORM.size, 0)
        if len(self._stored) == _FORM.size:
            self.boot, self.busy, self.epoch, self.end, self.next_due, self.next_end = _FORM.unpack(self._stored)

    def peek(self) -> tuple[int, int, int, int]:
        """Read epoch, end, next_due and next_end without changing anything here."""
        found = os.pread(self._descriptor, _FORM.size, 0)
        return _FORM.unpack(found)[2:] if len(found) == _FORM.size else (0, 0, 0, 0)

    def store(self) -> None:
        """Write what has changed."""
        data = _FORM.pack(self.boot, self.busy, self.epoch, self.end, self.next_due, self.next_end)
        if data != self._stored:
            os.pwrite(self._descriptor, data, 0)
            self._stored = data

    def sync(self) -> None:
        """Wait until what was stored is on the disk."""
        os.fdatasync(self._descriptor)
