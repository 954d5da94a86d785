"""The folders of Kombu 5: a message is a file `<time>_<uuid>.<queue>.msg`, which is whoever's renames it first."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from dulse.transports.filesystem.names import folder_of
from dulse.transports.filesystem.place import ABANDONED, make_folder, refuse_network, write_all

__all__ = ["Claimed", "KombuFolders"]

_logger = logging.getLogger(__name__)

_END: Final = ".msg"
LONGEST_NAME: Final = 180
"""Bytes of a queue's name: with what stands before it, it is the name of a file."""

PATIENCE: Final = 5.0
"""Seconds for which a file must not have changed to count as damaged: Kombu writes it under its last name."""

LARGEST: Final = 1 << 30


class Claimed(NamedTuple):
    """A file that is ours, and what it holds."""

    path: str
    queue: str
    data: bytes


class _Seen(NamedTuple):
    """A file that could not be read as a message when it was looked at."""

    size: int
    changed: int
    since: float
    """When (monotonic) it was found so; infinity: it will never be read."""

    def is_over(self) -> bool:
        return time.monotonic() - self.since >= PATIENCE


class KombuFolders:
    """Those of one broker. What changes them is called under its lock."""

    def __init__(self, incoming: str, outgoing: str, processed: str | None = None) -> None:
        self.incoming: Final = os.path.realpath(incoming)
        self.outgoing: Final = os.path.realpath(outgoing)
        self.processed: Final = None if processed is None else os.path.realpath(processed)
        self._claims = self._drafts = ""
        self._known: dict[str, deque[str]] = {}
        """Names by queue as they were listed last, in order."""
        self._unread: dict[str, _Seen] = {}
        self._last_name = 0

    def prepare(self, root: str, *, on_network: bool) -> None:
        """Make what is missing, for the broker in the folder `root`."""
        mark = folder_of(root).rpartition("-")[2]
        self._claims = f"{self.incoming}/.dulse-{mark}-taken"
        self._drafts = f"{self.outgoing}/.dulse-{mark}-drafts"
        for folder in (self.incoming, self.outgoing, self.processed):
            if folder is not None:
                make_folder(folder)
                refuse_network(folder, allowed=on_network)
        make_folder(self._claims)
        make_folder(self._drafts)
        for name in os.listdir(self._drafts):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - os.stat(f"{self._drafts}/{name}").st_mtime > ABANDONED:
                    os.unlink(f"{self._drafts}/{name}")

    # ------------------------------------------------------------------------------------- what comes in

    def ready(self, queues: Iterable[str]) -> list[str]:
        """Name those of the queues for which there may be files."""
        queues = list(queues)
        if any(not self._known.get(queue) for queue in queues):
            self._look()
        taken = {queue for name in os.listdir(self._claims) if (queue := _queue_of(name)) is not None}
        return [queue for queue in queues if self._known.get(queue) or queue in taken]

    def has_claims(self) -> bool:
        """Tell whether somebody has claimed files and not stored them yet."""
        return bool(os.listdir(self._claims))

    def claimed(self) -> Iterator[Claimed]:
        """Give the files that somebody had claimed who died."""
        for name in sorted(os.listdir(self._claims)):
            queue, data = _queue_of(name), _content(f"{self._claims}/{name}")
            if queue is not None and data is not None:
                yield Claimed(f"{self._claims}/{name}", queue, data)

    def claim(self, queue: str, count: int) -> Iterator[Claimed]:
        """Claim up to so many files of a queue, the first first."""
        looked = False
        while count > 0:
            try:
                name = self._known.setdefault(queue, deque()).popleft()
            except IndexError:
                if looked:
                    return
                looked = True
                self._look()
                continue
            data = self._whole(name)
            if data is None:
                continue
            with contextlib.suppress(FileNotFoundError):  # somebody else's now
                os.rename(f"{self.incoming}/{name}", f"{self._claims}/{name}")
                yield Claimed(f"{self._claims}/{name}", queue, data)
                count -= 1

    def keep(self, claimed: Claimed) -> None:
        """Leave a copy among the processed files, if those are wanted."""
        if self.processed is None:
            return
        copy = f"{self.processed}/{os.path.basename(claimed.path)}"
        try:
            os.link(claimed.path, copy)
        except FileExistsError:
            return  # by somebody who died then
        except OSError:  # on another file system
            shutil.copyfile(claimed.path, copy)

    def count(self, queue: str) -> int:
        """Count the files of a queue."""
        return len(self._names(queue))

    def contents(self, queue: str, count: int) -> list[bytes]:
        """Look at the files of a queue that come first."""
        found = (_content(f"{self.incoming}/{name}") for name in self._names(queue)[: max(0, count)])
        return [data for data in found if data]

    def purge(self, queue: str) -> int:
        """Delete the files of a queue; gives their number."""
        number = 0
        for name in self._names(queue):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.incoming}/{name}")
                number += 1
        return number

    def _names(self, queue: str) -> list[str]:
        return sorted(name for name in os.listdir(self.incoming) if _queue_of(name) == queue)

    def _look(self) -> None:
        known: dict[str, deque[str]] = {}
        names = sorted(os.listdir(self.incoming))
        for name in names:
            queue = _queue_of(name)
            if queue is not None and (name not in self._unread or self._is_worth_a_look(name)):
                known.setdefault(queue, deque()).append(name)
        if self._unread:
            there = set(names)
            self._unread = {name: seen for name, seen in self._unread.items() if name in there}
        self._known = known

    def _is_worth_a_look(self, name: str) -> bool:
        seen = self._unread[name]
        try:
            found = os.lstat(f"{self.incoming}/{name}")
        except FileNotFoundError:
            return False
        return (found.st_size, found.st_mtime_ns) != (seen.size, seen.changed) or seen.is_over()

    def _whole(self, name: str) -> bytes | None:
        """Read a file; None: it is not written to its end, or gone, or none that can be read."""
        path = f"{self.incoming}/{name}"
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None
        data = None
        if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST:
            with contextlib.suppress(PermissionError):
                data = _content(path)
                if data is None:
                    return None
        seen = self._unread.get(name)
        if data is None:
            if seen is None:
                _logger.error("%s is left alone: it must be a file of at most 1 GiB that this user may read", path)
            self._unread[name] = _Seen(found.st_size, found.st_mtime_ns, float("inf"))
            return None
        if _is_json(data):
            return data
        if seen is None or (found.st_size, found.st_mtime_ns) != (seen.size, seen.changed):
            self._unread[name] = _Seen(found.st_size, found.st_mtime_ns, time.monotonic())
            return None
        return data if seen.is_over() else None

    # -------------------------------------------------------------------------------------- what goes out

    def draft(self, data: bytes, *, durable: bool) -> str:
        """Write a file that has no name for Kombu yet; gives its path."""
        path = f"{self._drafts}/{os.getpid()}-{os.urandom(8).hex()}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)
        return path

    def new_paths(self, queues: Iterable[str]) -> list[str]:
        """Give a file's names for some queues: they sort behind those of all earlier ones since the machine began."""
        now = self._last_name = max(time.monotonic_ns(), self._last_name + 1)
        milliseconds, rest = divmod(now, 1_000_000)
        chance = os.urandom(12).hex()
        unique = f"{rest:08x}-{chance[:4]}-{chance[4:8]}-{chance[8:12]}-{chance[12:]}"
        return [f"{self.outgoing}/{milliseconds}_{unique}.{queue}{_END}" for queue in queues]


def can_name(queue: str) -> bool:
    """Tell whether a file can have the name of a queue in its own."""
    try:
        return "/" not in queue and "\0" not in queue and len(os.fsencode(queue)) <= LONGEST_NAME
    except UnicodeEncodeError:
        return False


def _queue_of(name: str) -> str | None:
    rest = name.partition(".")[2]
    return rest.removesuffix(_END) if rest.endswith(_END) and not name.startswith(".") else None


def _is_json(data: bytes) -> bool:
    """Tell whether it was written to its end: no part of an object is one."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _content(path: str) -> bytes | None:
    """Read a file; None: it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
