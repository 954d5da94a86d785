"""Who holds what: a folder an owner, in which the time of a file is the end of its lease."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from dulse.links.clocks import awake_ms
from dulse.model.records import Token
from dulse.transports.filesystem.names import Entry, folder_of
from dulse.transports.filesystem.place import make_folder, write_whole

__all__ = ["Held", "Owners"]

_MS: Final = 1_000_000
SLACK: Final = 20
MOST_SLACK_MS: Final = 250
"""A take leaves the owner's time alone while this much of it, or a twentieth, has passed: one write less a take."""


class Held(NamedTuple):
    """A taken record."""

    folder: str
    """Of its queue."""
    name: str
    path: str


class Owners:
    """Used under the lock of the broker. Leases of before a reboot are over: their clock has begun anew."""

    def __init__(self, root: str, boot: str) -> None:
        self._root = root
        self._boot = boot

    def folder(self, owner: str) -> str:
        """Give the path under which the records of an owner stand."""
        return f"{self._root}/{folder_of(owner)}"

    def hold(self, owner: str, lease_ms: int, *, exactly: bool = False) -> bool:
        """Register an owner, or keep it for `lease_ms` (or a little less); False: it was not known until now."""
        folder = self.folder(owner)
        now = awake_ms()
        expires = self._expires(folder)
        slack = 0 if exactly else min(lease_ms // SLACK, MOST_SLACK_MS)
        if expires is None:
            make_folder(folder)
            write_whole(f"{folder}/owner", json.dumps({"name": owner, "boot": self._boot}).encode())
        if expires is None or expires < now + lease_ms - slack:
            end = (now + lease_ms) * _MS
            os.utime(f"{folder}/owner", ns=(end, end))
        return expires is not None

    def is_dead(self, owner: str) -> bool:
        """Tell whether an owner is past its time, or not known."""
        expires = self._expires(self.folder(owner))
        return expires is None or expires <= awake_ms()

    def _expires(self, folder: str) -> int | None:
        """Give the end of a lease; None: there is no such owner, or it was declared dead."""
        try:
            expires = os.stat(f"{folder}/owner").st_mtime_ns // _MS
        except FileNotFoundError:
            return None
        return expires or None

    def dead(self) -> tuple[dict[str, float], float | None]:
        """Name those past their time with the seconds since; give those until the next one is."""
        now = awake_ms()
        found: dict[str, float] = {}
        coming = []
        for each in os.listdir(self._root):
            said = self._said(f"{self._root}/{each}")
            if said is None:
                continue
            expires = self._expires(f"{self._root}/{each}") or 0
            if expires <= now or said["boot"] != self._boot:
                found[said["name"]] = (now - expires) / 1000 if said["boot"] == self._boot else math.inf
            else:
                coming.append(expires)
        return found, (min(coming) - now) / 1000 if coming else None

    def is_past(self, owner: str) -> bool:
        """Tell whether a registered owner is past its time; False if it is not registered."""
        folder = self.folder(owner)
        said = self._said(folder)
        return said is not None and ((self._expires(folder) or 0) <= awake_ms() or said["boot"] != self._boot)

    def _said(self, folder: str) -> dict[str, str] | None:
        try:
            said: dict[str, str] = json.loads(Path(f"{folder}/owner").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        return said

    def taken(self, owner: str, token: Token) -> Held:
        """Give the record of a token: its path is there while the owner holds it."""
        folder, name = token
        return Held(folder, name, f"{self.folder(owner)}/{folder}/{name}")

    def held(self, owner: str) -> Iterator[Held]:
        """List what an owner holds, by queue and place."""
        yield from _held(self.folder(owner))

    def held_of(self, queue_folder: str) -> int:
        """Count the taken records of a queue."""
        count = 0
        for each in os.listdir(self._root):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                count += len(os.listdir(f"{self._root}/{each}/{queue_folder}"))
        return count

    def declare_dead(self, owner: str) -> None:
        """Have an owner that wakes up learn that it was forgotten."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(f"{self.folder(owner)}/owner", ns=(0, 0))

    def remove(self, owner: str) -> None:
        """Forget an owner that holds nothing any more."""
        shutil.rmtree(self.folder(owner), ignore_errors=True)

    def drop(self, queue_folder: str, trash: str) -> None:
        """Move the taken records of a dropped queue away."""
        for each in os.listdir(self._root):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self._root}/{each}/{queue_folder}", f"{trash}/{os.urandom(8).hex()}")


def _held(folder: str) -> Iterator[Held]:
    try:
        queues = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for queue in queues:
        with contextlib.suppress(NotADirectoryError):
            for name in sorted(os.listdir(f"{folder}/{queue}")):
                if Entry.read(name) is not None:
                    yield Held(queue, name, f"{folder}/{queue}/{name}")
