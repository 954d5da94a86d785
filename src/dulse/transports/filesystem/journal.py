"""Steps of more than one change of the folder: written down first, and finished by whoever comes after a death."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

__all__ = ["Journal", "Plan"]


class Plan(NamedTuple):
    """New names for what is written, and names that go: done twice it is the same as once."""

    links: Sequence[tuple[str, Sequence[str]]]
    """Files with the bytes, which lose this name at the end, and their new names."""
    unlinks: Sequence[str] = ()


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
        """Do all of it; killed in between, `finish` does the rest. Without room for a name nothing is done."""
        self._plans.append(plan)
        try:
            self._write()
            _link(plan)
            _unlink(plan)
        finally:
            self._plans.remove(plan)
            os.ftruncate(self._descriptor, 0)
            if self._plans:  # of what a signal handler has interrupted
                self._write()

    def _write(self) -> None:
        texts = [json.dumps(plan).encode() for plan in self._plans]
        rest = memoryview(b"".join([b"%08x%s\n" % (crc32(text), text) for text in texts]))
        written = 0
        while rest:  # a disk that gets full takes a part first
            count = os.pwrite(self._descriptor, rest, written)
            written, rest = written + count, rest[count:]

    def finish(self) -> None:
        """Do what somebody who died had written down in whole and not done."""
        found = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        for line in found.splitlines(keepends=True):
            text = line[8:-1]
            if line.endswith(b"\n") and line[:8] == b"%08x" % crc32(text):
                _finish(Plan(*json.loads(text)))
        if found:
            os.ftruncate(self._descriptor, 0)


def _link(plan: Plan) -> None:
    try:
        for source, paths in plan.links:
            for path in paths:
                with contextlib.suppress(FileExistsError):  # who died had come as far as that
                    os.link(source, path)
    except OSError:
        for _, paths in plan.links:
            for path in paths:
                with contextlib.suppress(OSError):  # most names are not there yet; the first failure is what is told
                    os.unlink(path)
        raise


def _unlink(plan: Plan) -> None:
    """Take names away; nothing is undone from here on, as what has lost its last name is lost."""
    for path in [*plan.unlinks, *[source for source, _ in plan.links]]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _finish(plan: Plan) -> None:
    """Do what was not done yet: where the name of a source is gone, nothing but such names was left to be taken away.

    Those are deleted in an hour, as all that is written and never put.
    """
    if all(os.path.exists(source) for source, _ in plan.links):
        _link(plan)
        _unlink(plan)
