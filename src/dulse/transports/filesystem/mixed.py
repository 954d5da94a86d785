"""The store of a broker beside which there are Kombu's folders: its files come in, and ours go out where wanted."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from dulse.links.clocks import wall_ms
from dulse.model.records import Depth, Guard, Leased, Peeked, Problem, Put, Revision, Swept, Target, Token
from dulse.transports.filesystem import watching
from dulse.transports.filesystem.failures import named
from dulse.transports.filesystem.journal import Plan
from dulse.transports.filesystem.kombu_folders import Claimed, KombuFolders, can_name
from dulse.transports.filesystem.line import HIGHEST
from dulse.transports.filesystem.place import make_folder, sync_folder
from dulse.transports.filesystem.records import NOTHING_ELSE, Pack, write_records
from dulse.transports.filesystem.step import Step
from dulse.transports.filesystem.storage import FilesystemStorage
from dulse.virtual.kombu_envelope import body_size, to_kombu, to_record

__all__ = ["MixedStorage"]

_logger = logging.getLogger(__name__)

_OURS: Final = "dulse-targets"
"""Priority and end of life by queue, in front of Kombu's envelope, where its processes pass over it."""
_START: Final = b'{"' + _OURS.encode() + b'":'


class MixedStorage(FilesystemStorage):
    """A FilesystemStorage that takes in the files in Kombu's folder when they are wanted.

    A file is claimed by renaming it, so that Kombu's processes see it no longer, and is a record of ours before it is
    deleted, in one step for whoever dies in it. With `writes` what is put, unless it is delayed, is written as files
    for Kombu's processes and ours, whoever comes first; and into the queues of ours where no file can have their name.
    """

    def __init__(
        self,
        root: str,
        folders: KombuFolders,
        durability: Literal["full", "normal"] = "full",
        *,
        writes: bool,
        waking: Literal["push", "poll"] = "push",
        on_network: bool = False,
    ) -> None:
        super().__init__(root, durability, waking=waking, on_network=on_network)
        self._kombu = folders
        self._writes = writes
        self._on_network = on_network
        self._is_taking_in = False
        self._folders = (folders.incoming,)
        self._begin()

    def open(self, seconds: float) -> None:
        """Open the folders, or make them."""
        with named(self._place.root):
            if os.path.dirname(self._place.root) != self._kombu.incoming:
                make_folder(os.path.dirname(self._place.root))  # Kombu makes its control folder, too
            self._kombu.prepare(self._place.root, on_network=self._on_network)
        super().open(seconds)

    def discard(self) -> None:
        """Be closed in a forked child."""
        super().discard()
        self._is_taking_in = False

    # ------------------------------------------------------------------------------------------- records

    def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem]:
        """Write all puts, as files where that is wanted: each in one step into all of those."""
        if not self._writes:
            return super().put(puts, guards, publisher, park, until=until)
        self._check_open()
        drafts: list[tuple[str, list[str]]] = []
        try:
            with named(self._place.root):
                own = [self._drafted(put, drafts) for put in puts]
            with self._step(until) as step:
                if not self._is_next(step, publisher):
                    return ()
                parked = step.parked(puts, guards, park)
                problems = self._write(step, parked) if parked else self._hand_out(step, own, drafts)
                if publisher is not None:
                    step.broker.count(publisher)
        finally:
            for path, _ in drafts:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        return problems

    def _drafted(self, put: Put, drafts: list[tuple[str, list[str]]]) -> Put:
        """Write what Kombu's processes may have; gives what stays with ours."""
        out = [target for target in put.targets if not target.delay_ms and can_name(target.queue)]
        if not out:
            return put
        data = _marked(to_kombu(put.payload), out)
        drafts.append((self._kombu.draft(data, durable=self._broker.durable), [target.queue for target in out]))
        return put._replace(targets=[target for target in put.targets if target not in out])

    def _write(self, step: Step, puts: Sequence[Put], plan: Plan = NOTHING_ELSE) -> list[Problem]:
        """Write records of ours, and do what else is planned."""
        if not any(put.targets for put in puts):
            step.carry_out(plan)
            return []
        pack = Pack(self._broker, puts)
        try:
            pack.sync_bytes()
            problems = write_records(step, puts, pack, plan, limited=not plan.unlinks)
            pack.sync()
        finally:
            pack.discard()
        return problems

    def _hand_out(self, step: Step, own: Sequence[Put], drafts: Sequence[tuple[str, list[str]]]) -> list[Problem]:
        """Write what stays with ours, and what Kombu's processes may have, in one."""
        links = [(path, self._kombu.new_paths(queues)) for path, queues in drafts]
        problems = self._write(step, own, Plan(links))
        if drafts:
            if self._broker.durable:
                sync_folder(self._kombu.outgoing)
            step.broker.ring()
        return problems

    def _take_in(self, wants: Sequence[tuple[str, int]], until: float | None) -> None:
        """Make records of files, as many as are wanted and not there yet, and of all that the dead had claimed."""
        if self._is_taking_in:
            return  # a signal handler, in the middle of it
        with self._step(until) as step:
            self._is_taking_in = True
            try:
                claimed = list(self._kombu.claimed())
                for queue, count in wants:
                    line = step.line(queue)
                    claimed += self._kombu.claim(queue, count - (line.counters.count if line else 0))
                for each in claimed:
                    self._kombu.keep(each)
                if claimed:
                    records = [_read(each) for each in claimed]
                    self._write(step, records, Plan((), [each.path for each in claimed]))
            finally:
                self._is_taking_in = False

    def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Take what ours and Kombu's have put."""
        self._check_open()
        with named(self._place.root):
            coming = set(self._kombu.ready(queue for queue, count in wants if count > 0))
        if coming:
            self._take_in([(queue, count) for queue, count in wants if queue in coming], until)
        return super().reserve(wants, owner, lease_ms, settle, until=until)

    # ---------------------------------------------------------------------------------------------- time

    def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Do what is due, and store what the dead had claimed."""
        self._check_open()
        with named(self._place.root):
            left_over = self._kombu.has_claims()
        if left_over:
            self._take_in((), until)
        return super().sweep(limit, until=until)

    def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues has a ready record or a file."""
        self._check_open()

        def ready() -> list[str]:
            return self._broker.ready(queues) or self._kombu.ready(queues)

        with named(self._place.root):
            return watching.wait(self._bell, ready, seconds)

    # ---------------------------------------------------------------------------------------- management

    def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        """Count what each queue holds, the files among it; the size is that of the records."""
        found = super().depth(queues, until=until)
        with named(self._place.root):
            return [
                depth._replace(ready=depth.ready + self._kombu.count(queue))
                for queue, depth in zip(queues, found, strict=True)
            ]

    def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at the records that come next, and the files after them."""
        found = list(super().peek(queue, count, until=until))
        with named(self._place.root):
            files = self._kombu.contents(queue, count - len(found))
        return [*found, *[Peeked(to_record(data), 0, 0, None) for data in files]]

    def purge(self, queue: str, *, until: float | None = None) -> int:
        """Delete the ready records and the files of a queue."""
        number = super().purge(queue, until=until)
        with self._step(until):
            return number + self._kombu.purge(queue)

    def change(
        self,
        expect: Mapping[str, Revision],
        writes: Mapping[tuple[str, str], str | None],
        drop: Sequence[str] = (),
        *,
        only_empty: bool = False,
        if_dead: str | None = None,
        until: float | None = None,
    ) -> bool:
        """Write values and drop queues with their files."""
        with self._step(until):
            if only_empty and any(self._kombu.count(queue) for queue in drop):
                return False
            done = super().change(expect, writes, drop, only_empty=only_empty, if_dead=if_dead, until=until)
            for queue in drop if done else ():
                self._kombu.purge(queue)
            return done


def _marked(envelope: bytes, targets: Sequence[Target]) -> bytes:
    now = wall_ms()
    numbers = {
        target.queue: [target.priority, None if target.ttl_ms is None else now + target.ttl_ms] for target in targets
    }
    return _START + json.dumps(numbers, separators=(",", ":")).encode() + b"," + envelope.removeprefix(b"{")


def _read(claimed: Claimed) -> Put:
    """Make a record of a file; what is no message of Kombu's stays as it is, and is set aside by whoever takes it."""
    payload = to_record(claimed.data)
    if payload is claimed.data:
        _logger.error("%s is no message: its %d bytes are taken as they are", claimed.path, len(payload))
        return Put(payload, [Target(claimed.queue)], len(payload))
    priority, dies = _numbers(claimed) if claimed.data.startswith(_START) else (0, None)
    ttl_ms = None if dies is None else max(0, dies - wall_ms())
    return Put(payload, [Target(claimed.queue, priority, ttl_ms)], body_size(payload))


def _numbers(claimed: Claimed) -> tuple[int, int | None]:
    found: Any = json.loads(claimed.data)
    with contextlib.suppress(TypeError, KeyError, ValueError, AttributeError):
        priority, dies = found[_OURS][claimed.queue]
        if isinstance(priority, int) and 0 <= priority <= HIGHEST and isinstance(dies, int | None):
            return priority, dies
    return 0, None
