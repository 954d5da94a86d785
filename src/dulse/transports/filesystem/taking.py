"""Taking records and giving them back: a record is taken by the name under its owner that it gets."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from dulse.links.clocks import wall_ms
from dulse.model.records import Leased, Token
from dulse.transports.filesystem.broker import Broker
from dulse.transports.filesystem.line import Line
from dulse.transports.filesystem.names import Entry
from dulse.transports.filesystem.step import Step

__all__ = ["Taken", "read", "settle", "take"]

_logger = logging.getLogger(__name__)


class Taken(NamedTuple):
    """A record that was taken and whose bytes are not read yet."""

    token: Token
    """Folder of the queue, and name under the owner."""
    queue: str
    entry: Entry
    path: str


def take(
    step: Step, line: Line, owner_folder: str, candidates: Iterable[tuple[str, Entry]], count: int, *, counted: bool
) -> Iterator[Taken]:
    """Take up to `count` of these, leaving out those that are gone."""
    folder = os.path.basename(line.path)
    into = f"{owner_folder}/{folder}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(into, 0o700)
    left = count
    for path, entry in candidates if count > 0 else ():
        taken = entry._replace(deliveries=entry.deliveries + counted)
        name = f"{taken.name()}.{next(step.broker.numbers):x}"
        line.change()
        try:
            os.rename(path, f"{into}/{name}")
        except FileNotFoundError:
            continue
        line.removed(entry)
        yield Taken((folder, name), line.queue, taken, f"{into}/{name}")
        left -= 1
        if not left:
            return


def read(broker: Broker, found: Sequence[Taken]) -> list[Leased]:
    """Read the bytes of what was taken; leaves out what its owner, long dead, has lost again."""
    now = wall_ms()
    leased = []
    for token, queue, entry, path in found:
        payload = _bytes(broker, path, entry)
        if payload is not None:
            ttl_ms = None if entry.dies is None else entry.dies - entry.since
            leased.append(Leased(token, queue, payload, entry.deliveries, max(0, now - entry.since), ttl_ms))
    return leased


def _bytes(broker: Broker, path: str, entry: Entry) -> bytes | None:
    """Read a record; None: it is no longer here. One that is broken is empty: whoever asked sets it aside."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        found = os.pread(descriptor, entry.length, entry.offset)
    except OSError as error:
        _logger.error("%s cannot be read: %s", path, error.strerror)  # noqa: TRY400 - it says all
        found = b""
    finally:
        os.close(descriptor)
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
        entry = Entry.read(token[1])
        try:
            if entry is not None and entry.names == 1:
                broker.spares.give(path, entry.length)
            else:
                os.unlink(path)
        except FileNotFoundError:
            lost.append(token)
    return lost
