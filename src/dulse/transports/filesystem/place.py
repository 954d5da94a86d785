"""The broker's folder: made, checked, and found again; where each kind of thing lies in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from dulse import errors
from dulse.links.file_systems import kind_of, network_kind
from dulse.transports.filesystem.failures import file_failure

__all__ = ["Place"]

VERSION: Final = 1

JOURNALED: Final = frozenset({"ext4", "xfs", "btrfs"})
"""File systems that log the names of a file as changes of it: fsync(2) of the file alone has all of it on the disk."""

ANY_NUMBER: Final = sys.maxsize

ABANDONED: Final = 3600
"""Seconds after which a record that was written and never put belongs to nobody."""
_MARK: Final = "dulse.json"
_FOLDERS: Final = ("queues", "leased", "delayed", "writing", "trash", "publishers", "spares", "damaged")


class Place:
    """The paths of one broker. Folders are made for this user alone (0700), files too (0600)."""

    def __init__(self, root: str | os.PathLike[str], *, on_network: bool = False) -> None:
        given = os.fspath(root)
        if not given or "\0" in given:
            raise errors.make(errors.InvalidArgument, f"{given!r} names no folder: give a path")
        self.root: Final = os.path.realpath(given)
        self.queues: Final = f"{self.root}/queues"
        self.leased: Final = f"{self.root}/leased"
        self.delayed: Final = f"{self.root}/delayed"
        self.writing: Final = f"{self.root}/writing"
        self.trash: Final = f"{self.root}/trash"
        self.spares: Final = f"{self.root}/spares"
        self.damaged: Final = f"{self.root}/damaged"
        self.publishers: Final = f"{self.root}/publishers"
        self.lock: Final = f"{self.root}/lock"
        self.header: Final = f"{self.root}/header"
        self.journal: Final = f"{self.root}/journal"
        self.catalogue: Final = f"{self.root}/catalogue"
        self.bell: Final = f"{self.root}/bell"
        self._on_network = on_network
        self.identity = (0, 0)
        self.names_follow = 0
        """How many new names a file that is synced takes to the disk with it."""

    def prepare(self) -> None:
        """Make what is missing; refuse a folder that is somebody else's, or of a newer version."""
        try:
            self._prepare()
        except OSError as error:
            raise file_failure(error, error.filename or self.root) from error

    def _prepare(self) -> None:
        root = Path(self.root)
        if not root.parent.is_dir():
            text = f"the folder {root.parent} does not exist, so {self.root} cannot be made: create it first"
            raise errors.make(errors.StorageError, text)
        if root.exists() and not root.is_dir():
            raise errors.make(errors.StorageError, f"{self.root} is a file: name a folder")
        refuse_network(str(root.parent), allowed=self._on_network)
        make_folder(self.root)
        refuse_network(self.root, allowed=self._on_network)
        self._check_mark()
        for name in _FOLDERS:
            make_folder(f"{self.root}/{name}")
        found = root.stat()
        self.identity = (found.st_dev, found.st_ino)
        self.names_follow = _names_that_follow(found.st_dev)

    def _check_mark(self) -> None:
        mark = Path(self.root, _MARK)
        if not mark.exists():
            others = [name for name in os.listdir(self.root) if not self._may_stand_beside(name)]
            if others:
                text = (
                    f"{self.root} has files that are no dulse broker's ({', '.join(sorted(others)[:3])}): "
                    "name an empty folder or a new one"
                )
                raise errors.make(errors.StorageCorrupt, text)
            write_whole(str(mark), json.dumps({"store": "dulse filesystem", "version": VERSION}).encode())
            return
        try:
            said = json.loads(mark.read_bytes())
            version = said["version"] if said["store"] == "dulse filesystem" else None
        except (ValueError, KeyError, TypeError):
            version = None
        if version != VERSION:
            text = f"{mark} says {version!r}, and this dulse reads version {VERSION}: update it, or name another folder"
            raise errors.make(errors.StorageCorrupt, text)

    @staticmethod
    def _may_stand_beside(name: str) -> bool:
        """Whether another process that makes the same broker at this moment may have made it."""
        return name in {*_FOLDERS, "lock", "header", "journal", "catalogue", "bell"} or name.startswith(_MARK)

    def is_unchanged(self) -> bool:
        """Tell whether the folder that was opened is still the one at the path."""
        try:
            found = Path(self.root).stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.identity

    def clear_up(self) -> None:
        """Delete what was purged and dropped, and what was not finished an hour ago; somebody else may be at it."""
        for name in os.listdir(self.trash):
            shutil.rmtree(f"{self.trash}/{name}", ignore_errors=True)
        for name in os.listdir(self.writing):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - os.stat(f"{self.writing}/{name}").st_mtime > ABANDONED:
                    os.unlink(f"{self.writing}/{name}")


def _names_that_follow(device: int) -> int:
    """Tell how many new names reach the disk with a file of this device (`st_dev`) that is synced."""
    kind = kind_of(device)
    if kind not in JOURNALED:
        return 0
    if kind == "ext4":
        try:
            name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
            task = Path(f"/sys/fs/ext4/{name}/journal_task").read_text(encoding="ascii")
        except OSError:
            task = "<none>"
        if not task.strip().isdecimal():  # of the thread that writes the journal
            return 1  # one folder that has the file is written with it, and those above
    return ANY_NUMBER


def refuse_network(folder: str, *, allowed: bool) -> None:
    """Refuse a folder on a network file system, unless it is allowed."""
    kind = None if allowed else network_kind(folder)
    if kind is not None:
        text = (
            f"{folder} is on a network file system ({kind}), where locks and wake-ups of other machines can fail: "
            "use a local disk, or a broker with a server, or, if one machine alone uses the folder, on_network=True"
        )
        raise errors.make(errors.StorageError, text)


def make_folder(path: str) -> bool:
    """Make a folder that may exist, and have its name on the disk; tells whether it was made."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    sync_folder(os.path.dirname(path))
    return True


def sync_folder(path: str) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: str, data: bytes) -> None:
    """Write a file that others see whole or not at all, and that survives a power loss."""
    draft = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(draft, path)
    sync_folder(os.path.dirname(path))


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes, however many the system takes at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
