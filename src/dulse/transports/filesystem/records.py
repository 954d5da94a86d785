"""Putting records into the folder: their bytes in a file, and a name of it in every queue."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Final
from zlib import crc32

from dulse.links.clocks import wall_ms
from dulse.model.records import Guard, Problem, Put, Target, Token
from dulse.transports.filesystem.broker import Broker
from dulse.transports.filesystem.failures import unsynced
from dulse.transports.filesystem.journal import Plan
from dulse.transports.filesystem.line import Line
from dulse.transports.filesystem.names import Entry
from dulse.transports.filesystem.place import sync_folder, write_all
from dulse.transports.filesystem.step import Step
from dulse.virtual.storage import Move, StaleTopology

__all__ = ["NOTHING_ELSE", "Pack", "excess", "forward", "has_limit", "write_records"]

MOST_NAMES: Final = 10_000
"""Of one file: the file systems that allow the fewest allow some 32,000."""

NOTHING_ELSE: Final = Plan(())


class _File:
    """The bytes of some records, in a file that has no name in a queue yet."""

    def __init__(self, broker: Broker, puts: Sequence[Put]) -> None:
        self.path = f"{broker.place.writing}/{os.getpid()}-{os.urandom(8).hex()}"
        self.paths: list[str] = []
        """The names that it has got."""
        self.count = len(puts)
        self._durable = broker.durable
        self._names_follow = broker.place.names_follow
        is_spare = len(puts) == 1 and len(puts[0].targets) == 1 and broker.spares.take(self.path)
        flags = 0 if is_spare else os.O_CREAT | os.O_EXCL
        self._descriptor = os.open(self.path, os.O_WRONLY | flags | os.O_CLOEXEC, 0o600)
        try:
            write_all(self._descriptor, b"".join([put.payload for put in puts]))
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Delete what got no name."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def sync_bytes(self) -> None:
        """Wait until the bytes are on the disk."""
        if self._durable:
            os.fsync(self._descriptor)

    def sync(self) -> None:
        """Wait until bytes and names are on the disk."""
        if self._durable and self.paths:
            os.fsync(self._descriptor)
            if len(self.paths) > self._names_follow:
                for folder in self._folders():
                    with contextlib.suppress(FileNotFoundError):  # all of it was taken meanwhile
                        sync_folder(folder)

    def _folders(self) -> set[str]:
        """Give those with a name of the file, and those above that may be new, too, where they don't follow either."""
        found = {os.path.dirname(path) for path in self.paths}
        for _ in range(0 if self._names_follow else 2):
            found |= {os.path.dirname(folder) for folder in found}
        return found


class Pack:
    """The bytes of the records of one step: one file, or as many as give no file more than MOST_NAMES."""

    def __init__(self, broker: Broker, puts: Sequence[Put]) -> None:
        self._root = broker.place.root
        self._files: list[_File] = []
        try:
            for part in _parts(puts):
                self._files.append(_File(broker, part))
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Delete what got no name."""
        for file in self._files:
            file.discard()

    def sync_bytes(self) -> None:
        """Wait until the bytes are on the disk, before what they were made of goes."""
        for file in self._files:
            file.sync_bytes()

    def sync(self) -> None:
        """Wait until bytes and names are on the disk; StorageError: they are there for all, and maybe not on it."""
        try:
            for file in self._files:
                file.sync()
        except OSError as error:
            raise unsynced(error, self._root) from error

    def parts(self, puts: Sequence[Put]) -> Iterator[tuple[_File, Sequence[tuple[int, Put]]]]:
        """Give each file with the puts whose bytes it has and their numbers; targets may be others than at first."""
        numbered = list(enumerate(puts))
        first = 0
        for file in self._files:
            yield file, numbered[first : first + file.count]
            first += file.count


def _name(step: Step, names: Sequence[tuple[_File, list[str]]], plan: Plan) -> None:
    """Give the files their names and do what else is planned, all or, on a failure (full disk), nothing of it."""
    named = [(file, paths) for file, paths in names if paths]
    if len(named) == 1 and len(named[0][1]) == 1 and not plan.links and not plan.unlinks:
        os.rename(named[0][0].path, named[0][1][0])
    else:
        step.carry_out(Plan([*[(file.path, paths) for file, paths in named], *plan.links], plan.unlinks))
    for file, paths in named:
        file.paths = paths


def _parts(puts: Sequence[Put]) -> Iterator[Sequence[Put]]:
    """Split what would give one file more than MOST_NAMES; a single put that does is the file system's to refuse."""
    if sum([len(put.targets) for put in puts]) <= MOST_NAMES:
        yield puts
        return
    part: list[Put] = []
    names = 0
    for put in puts:
        if part and names + len(put.targets) > MOST_NAMES:
            yield part
            part, names = [], 0
        part.append(put)
        names += len(put.targets)
    yield part


def write_records(
    step: Step, puts: Sequence[Put], pack: Pack, plan: Plan = NOTHING_ELSE, *, limited: bool
) -> list[Problem]:
    """Give a pack's records their names, and do what else is planned; tells which queues are at their limit."""
    problems: list[Problem] = []
    checked: dict[str, tuple[int, Target]] = {}
    named: list[tuple[_File, list[str]]] = []
    now, rings = wall_ms(), False
    for file, part in pack.parts(puts):
        paths: list[str] = []
        offset = 0
        names = sum([len(put.targets) for _, put in part])
        for index, put in part:
            length, checksum = len(put.payload), crc32(put.payload)
            for target in put.targets:
                line = step.make_line(target.queue)
                if limited and has_limit(target):
                    if target.refuse and excess(step, target, 1, put.size) != (0, 0):
                        problems.append(Problem(index, target.queue, -1))
                        continue
                    if not target.refuse:
                        checked[target.queue] = index, target
                since = now + target.delay_ms
                dies = None if target.ttl_ms is None else since + target.ttl_ms
                place = line.next_place()
                entry = Entry(place, target.priority, since, dies, 0, offset, length, put.size, names, checksum)
                paths.append(_place(step, line, entry, is_delayed=target.delay_ms > 0))
                rings = rings or not target.delay_ms
            offset += length
        named.append((file, paths))
    _name(step, named, plan)
    if rings:
        step.broker.ring()
    for queue, (index, target) in checked.items():
        over = excess(step, target, 0, 0)
        if over != (0, 0):
            problems.append(Problem(index, queue, *over))
    return problems


def _place(step: Step, line: Line, entry: Entry, *, is_delayed: bool) -> str:
    """Count a record where it is to stand, and give its path there."""
    if is_delayed:
        return step.delay(line, entry, entry.since, fresh=True)
    path = line.place_of(entry)
    line.added(entry, at_the_end=True)
    step.soon_ends(entry.dies)
    return path


def forward(step: Step, moves: Sequence[Move], owner: str, guards: Sequence[Guard], pack: Pack) -> list[Token]:
    """Put the records of a pack in the place of taken ones; gives the tokens that were no longer the owner's."""
    stale = step.stale(guards)
    lost: list[Token] = []
    paths: list[str] = []
    puts: list[Put] = []
    for token, its_puts in moves:
        path = step.broker.owners.taken(owner, token).path
        if os.path.exists(path):
            paths.append(path)
            puts += its_puts
        else:
            lost.append(token)
            puts += [put._replace(targets=()) for put in its_puts]
    if paths and stale is not None:
        raise StaleTopology(stale)
    write_records(step, puts, pack, Plan((), paths), limited=False)
    return lost


def has_limit(target: Target) -> bool:
    """Tell whether the queue may be over a limit after a put."""
    return target.max_count is not None or target.max_bytes is not None


def excess(step: Step, target: Target, more: int, more_bytes: int) -> tuple[int, int]:
    """Give by how many records and bytes a queue would be over its limits with some more."""
    line = step.line(target.queue)
    count, size = (line.counters.count, line.counters.size) if line else (0, 0)
    over = 0 if target.max_count is None else max(0, count + more - target.max_count)
    return over, 0 if target.max_bytes is None else max(0, size + more_bytes - target.max_bytes)
