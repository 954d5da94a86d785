"""Taking records and giving them back: a record is taken by the name under its owner that it gets."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self
from zlib import crc32

from dulse.links.clocks import wall_ms
from dulse.model.records import Leased, Token
from dulse.transports.filesystem.broker import Broker
from dulse.transports.filesystem.line import Line
from dulse.transports.filesystem.names import Entry, bytes_alone, delivered
from dulse.transports.filesystem.step import Step

__all__ = ["Taken", "read", "settle", "take"]

_logger = logging.getLogger(__name__)


class Taken(NamedTuple):
    """A record that was taken and whose bytes are not read yet."""

    token: Token
    """Folder of the queue, and name under the owner."""
    queue: str
    entry: Entry
    deliveries: int
    """This one counted, where it counts."""
    path: str


def take(
    step: Step, line: Line, owner_folder: str, candidates: Iterable[tuple[str, Entry]], count: int, *, counted: bool
) -> Iterator[Taken]:
    """Take up to `count` of these, leaving out those that are gone."""
    folder = os.path.basename(line.path)
    into = f"{owner_folder}/{folder}"
    left = count
    for path, entry in candidates if count > 0 else ():
        deliveries = entry.deliveries + counted
        name = delivered(path[path.rindex("/") + 1 :], deliveries, next(step.broker.numbers))
        taken = f"{into}/{name}"
        line.change()
        if not _move(path, taken, into):
            continue
        line.removed(entry)
        yield Taken((folder, name), line.queue, entry, deliveries, taken)
        left -= 1
        if not left:
            return


def _move(path: str, taken: str, into: str) -> bool:
    """Take a record, making the owner's folder of its queue if there is none; False: it is gone."""
    try:
        os.rename(path, taken)
    except FileNotFoundError:
        try:
            os.mkdir(into, 0o700)
        except FileExistsError:
            return False
        return _move(path, taken, into)
    return True


def read(broker: Broker, found: Sequence[Taken]) -> list[Leased]:
    """Read the bytes of what was taken; leaves out what its owner, long dead, has lost again."""
    now = wall_ms()
    leased = []
    with _Reading() as reading:
        for token, queue, entry, deliveries, path in found:
            payload = _bytes(broker, path, entry, reading)
            if payload is not None:
                ttl_ms = None if entry.dies is None else entry.dies - entry.since
                leased.append(Leased(token, queue, payload, deliveries, max(0, now - entry.since), ttl_ms))
    return leased


class _Reading:
    """The file that was read last, kept open: what was put in one batch lies in one."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._file: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def read(self, path: str, entry: Entry) -> bytes:
        """Read a record from the file of this name; nothing if it cannot be read. Raises FileNotFoundError."""
        is_shared = entry.names > 1
        if not (is_shared and self._file is not None and self._file == _identity(os.stat(path))):
            self._close()
            self._file = None
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if is_shared:
                self._file = _identity(os.fstat(self._descriptor))
        try:
            return os.pread(self._descriptor, entry.length, entry.offset)
        except OSError as error:
            _logger.error("%s cannot be read: %s", path, error.strerror)  # noqa: TRY400 - it says all
            return b""


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _bytes(broker: Broker, path: str, entry: Entry, reading: _Reading) -> bytes | None:
    """Read a record; None: it is no longer here. One that is broken is empty: whoever asked sets it aside."""
    try:
        found = reading.read(path, entry)
    except FileNotFoundError:
        return None
    if crc32(found) == entry.checksum:
        return found
    copy = f"{broker.place.damaged}/{os.path.basename(path)}"
    try:
        os.link(path, copy)
    except FileNotFoundError:  # taken by somebody else meanwhile, and its file written again
        return None
    _logger.error(
        "%s is broken: %d of its %d bytes could be read; it is kept as %s", path, len(found), entry.length, copy
    )
    return b""


def settle(broker: Broker, tokens: Sequence[Token], owner: str) -> list[Token]:
    """Delete taken records for good; gives the tokens that were no longer the owner's."""
    lost = []
    folder = broker.owners.folder(owner)
    for token in tokens:
        path = f"{folder}/{token[0]}/{token[1]}"
        size = bytes_alone(token[1])
        try:
            if size is None:
                os.unlink(path)
            else:
                broker.spares.give(path, size)
        except FileNotFoundError:
            lost.append(token)
    return lost
