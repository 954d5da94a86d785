"""The catalogue as a log: a change is a line, so it is there in whole or not at all; every process follows along."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from dulse import errors
from dulse.links.clocks import wall_ms
from dulse.model.records import Group, Parts, Revision
from dulse.transports.filesystem.header import Header
from dulse.transports.filesystem.place import ANY_NUMBER, write_all, write_whole

__all__ = ["Catalogue", "Line"]

LONG: Final = 1 << 20
"""Bytes from which on the log is written anew when most of it is outdated."""

Line = dict[str, Any]
"""A change: revision "r", time "t", writes "w" as [group, field, value or null], dropped queues "d"; in a log
that was written anew "g", all groups."""

Kept = tuple[int, int, dict[str, str]]
"""Of a group: revision, time of the last change, values; a change replaces the values."""


class Catalogue:
    """What this process knows of the groups. `catch_up` first; writing needs the lock of the broker."""

    def __init__(self, path: str, *, durable: bool) -> None:
        self._path = path
        self._durable = durable
        self._descriptor = -1
        self._is_writing = False
        self._groups: dict[str, Kept] = {}
        self._epoch = -1
        self._end = 0
        self._last = 0
        self._values = 0

    def close(self) -> None:
        """Let go of the file and of what is known."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        self._groups, self._epoch, self._end, self._last, self._values = {}, -1, 0, 0, 0

    def catch_up(self, epoch: int, end: int) -> None:
        """Read what others have written up to there. Raises StorageCorrupt if it is not there any more."""
        if epoch != self._epoch:
            self._reopen(epoch, is_new=not (epoch or end))
        self._read_up_to(end)
        if end > self._end:
            raise self._damaged(f"{self._path}.{epoch} is damaged at byte {self._end}")

    def _read_up_to(self, end: int) -> list[Line]:
        if end <= self._end:
            return []
        lines, stop = self._lines(self._end, min(end, os.fstat(self._descriptor).st_size))
        for line in lines:
            self._apply(line)
        self._end = max(self._end, stop)
        return lines

    def _damaged(self, text: str) -> Exception:
        rest = "the log of the topology: restore it, or begin a new broker in another folder"
        return errors.make(errors.StorageCorrupt, f"{text}, {rest}; messages are files in queues/ beside it")

    def recover(self, header: Header) -> list[str]:
        """Find the true end of the log after somebody died; gives the queues that were dropped beyond the old end.

        A header that tells of no log is lost, or is no header: the log that there is holds, with nothing beyond it.
        """
        if not (header.boot and os.path.exists(f"{self._path}.{header.epoch}")):
            header.epoch, header.end = self._newest(), ANY_NUMBER
        if header.epoch != self._epoch:
            self._reopen(header.epoch, is_new=True)
        self._read_up_to(header.end)
        lines = self._read_up_to(ANY_NUMBER)
        header.end = self._end
        os.ftruncate(self._descriptor, self._end)
        return [queue for line in lines for queue in line["d"]]

    def _newest(self) -> int:
        folder, _, name = self._path.rpartition("/")
        ends = [each.removeprefix(f"{name}.") for each in os.listdir(folder) if each.startswith(f"{name}.")]
        return max((int(end) for end in ends if end.isdecimal()), default=0)

    def _reopen(self, epoch: int, *, is_new: bool) -> None:
        self.close()
        path = f"{self._path}.{epoch}"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if is_new else 0), 0o600)
        except FileNotFoundError as error:
            raise self._damaged(f"{path} is gone") from error
        self._epoch = epoch

    def _lines(self, start: int, end: int) -> tuple[list[Line], int]:
        """Read the lines in a part of the log, and where the last whole one ends."""
        data = os.pread(self._descriptor, end - start, start)
        found: list[Line] = []
        at = 0
        while (stop := data.find(b"\n", at)) >= 0:
            text = data[at + 8 : stop]
            if data[at : at + 8] != b"%08x" % crc32(text):
                break
            found.append(json.loads(text))
            at = stop + 1
        return found, start + at

    def _apply(self, line: Line) -> None:
        revision, at = line["r"], line["t"]
        if revision <= self._last and "g" not in line:
            return  # a signal handler came in between and was quicker
        if "g" in line:
            self._groups = {name: (first, second, values) for name, (first, second, values) in line["g"].items()}
        changed: dict[str, dict[str, str]] = {}
        for group, field, value in line["w"]:
            if group not in changed:
                changed[group] = dict(self._groups[group][2]) if group in self._groups else {}
            if value is None:
                changed[group].pop(field, None)
            else:
                changed[group][field] = value
        for group, values in changed.items():
            if values:
                self._groups[group] = (revision, at, values)
            else:
                self._groups.pop(group, None)
        self._last = max(self._last, revision)

    # --------------------------------------------------------------------------------------------- read

    def revision(self, group: str) -> Revision:
        """Give the revision of a group; 0: there is none."""
        found = self._groups.get(group)
        return found[0] if found else 0

    def read(self, names: Sequence[str], parts: Parts) -> dict[str, Group]:
        """Give groups, and of others some fields, as they are now."""
        now = wall_ms()
        found = {}
        for name in (*names, *parts):
            revision, at, values = self._groups.get(name, (0, now, {}))
            if name in parts:
                values = {field: values[field] for field in parts[name] if field in values}
            found[name] = Group(revision, max(0, now - at), values)
        return found

    def list(self, prefix: str) -> dict[str, tuple[Revision, int]]:
        """Give revision and age of all groups whose names begin so."""
        now = wall_ms()
        return {
            name: (revision, max(0, now - at))
            for name, (revision, at, _) in self._groups.items()
            if name.startswith(prefix)
        }

    # -------------------------------------------------------------------------------------------- write

    def append(self, header: Header, writes: Mapping[tuple[str, str], str | None], drop: Sequence[str]) -> None:
        """Write a change behind the last one; it holds from the moment it is whole.

        Raises StorageBusy in a signal handler that has interrupted this very step.
        """
        if self._is_writing:
            text = f"{self._path}: a signal handler changes the topology as its thread does: do it elsewhere"
            raise errors.make(errors.StorageBusy, text)
        self._is_writing = True
        try:
            self._append(header, writes, drop)
        finally:
            self._is_writing = False

    def _append(self, header: Header, writes: Mapping[tuple[str, str], str | None], drop: Sequence[str]) -> None:
        line: Line = {
            "r": self._last + 1,
            "t": wall_ms(),
            "w": [[group, field, value] for (group, field), value in writes.items()],
            "d": list(drop),
        }
        self._write(line)
        self._apply(line)
        header.end = self._end

    def _write(self, line: Line) -> None:
        text = json.dumps(line).encode()
        start = self._end
        os.lseek(self._descriptor, start, os.SEEK_SET)
        try:
            write_all(self._descriptor, b"%08x%s\n" % (crc32(text), text))
            if self._durable:
                os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise
        self._end = os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def shorten(self, header: Header) -> None:
        """Write the log anew if it is long and mostly outdated; others notice by the epoch."""
        if self._end < LONG:
            return
        text = json.dumps(
            {
                "r": self._last,
                "t": wall_ms(),
                "w": [],
                "d": [],
                "g": {name: list(kept) for name, kept in self._groups.items()},
            }
        ).encode()
        if len(text) > self._end // 2:
            return
        outdated = f"{self._path}.{header.epoch}"
        write_whole(f"{self._path}.{header.epoch + 1}", b"%08x%s\n" % (crc32(text), text))
        header.epoch += 1
        header.end = len(text) + 9
        header.store()
        header.sync()  # or a power loss might leave it telling of a log that is gone
        os.unlink(outdated)
