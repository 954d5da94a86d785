"""Steps of more than one change of the folder: written down first, and finished by whoever comes after a death."""

from __future__ import annotations

import contextlib
import json
import os
from typing import NamedTuple
from zlib import crc32

__all__ = ["Journal", "Plan"]


class Plan(NamedTuple):
    """New names for what is written, and names that go: done twice it is the same as once."""

    source: str
    """The file with the bytes, which loses this name at the end; empty: nothing new."""
    links: list[str]
    unlinks: list[str]


class Journal:
    """One file, empty but for the moment of such a step. Used under the lock."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._plans: list[Plan] = []

    def open(self) -> None:
        """Open the file, making it if there is none."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def carry_out(self, plan: Plan) -> None:
        """Do all of it; killed in between, `finish` does the rest. On a failure (full disk) nothing is done."""
        self._plans.append(plan)
        try:
            self._write()
            _do(plan)
        except OSError:
            _undo(plan)
            raise
        finally:
            self._plans.remove(plan)
            os.ftruncate(self._descriptor, 0)
            if self._plans:  # of what a signal handler has interrupted
                self._write()

    def _write(self) -> None:
        texts = [json.dumps(plan).encode() for plan in self._plans]
        os.pwrite(self._descriptor, b"".join([b"%08x%s\n" % (crc32(text), text) for text in texts]), 0)

    def finish(self) -> None:
        """Do what somebody who died had written down in whole and not done."""
        found = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        for line in found.splitlines(keepends=True):
            text = line[8:-1]
            if line.endswith(b"\n") and line[:8] == b"%08x" % crc32(text):
                plan = Plan(*json.loads(text))
                if not plan.source or os.path.exists(plan.source):  # its name is the last that goes
                    _do(plan)
        if found:
            os.ftruncate(self._descriptor, 0)


def _do(plan: Plan) -> None:
    for path in plan.links:
        with contextlib.suppress(FileExistsError):
            os.link(plan.source, path)
    for path in plan.unlinks:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    if plan.source:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(plan.source)


def _undo(plan: Plan) -> None:
    for path in plan.links:
        with contextlib.suppress(OSError):
            os.unlink(path)
