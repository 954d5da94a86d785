"""FilesystemStorage: the Storage contract on a folder of files."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from dulse import errors
from dulse.links.bell import Bell
from dulse.links.clocks import wall_ms
from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Target, Token
from dulse.transports.filesystem import looking, sweeping, taking, watching
from dulse.transports.filesystem.broker import Broker
from dulse.transports.filesystem.failures import named
from dulse.transports.filesystem.holding import Holding
from dulse.transports.filesystem.place import Place
from dulse.transports.filesystem.records import Pack, excess, forward, has_limit, write_records
from dulse.transports.filesystem.step import Step
from dulse.transports.filesystem.taking import Taken, read, take
from dulse.virtual.storage import Move

__all__ = ["FilesystemStorage"]

MAX_RECORD: Final = 1 << 30


GONE: Final = "was deleted or replaced while in use; what was published since then is lost: open a new connection"


class FilesystemStorage:
    """The store of `filesystem:///folder`. Any number of threads, processes and Storage objects may use one folder.

    A record is a name in the folder of its queue, or in that of the owner who has taken it, which is all that taking
    and giving back changes. `durability` "full" waits with every put until bytes and names are on the disk: what was
    published survives the end of the process and of the machine, as far as the disk keeps its word; "normal" does not
    wait. A step over several queues is one step for whoever dies in it; a power loss may leave a part of one that had
    not returned. `waking` "poll" looks every 2 to 35 ms instead of asking inotify.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        durability: Literal["full", "normal"] = "full",
        *,
        waking: Literal["push", "poll"] = "push",
        on_network: bool = False,
    ) -> None:
        if durability not in {"full", "normal"}:
            text = (
                f"durability {durability!r} is unknown: 'full' survives a power loss, 'normal' the end of the process"
            )
            raise errors.make(errors.InvalidArgument, text)
        if waking not in {"push", "poll"}:
            raise errors.make(errors.InvalidArgument, f"waking {waking!r} is unknown: use 'push' or 'poll'")
        self._capabilities = Capabilities(
            max_record=MAX_RECORD,
            leases="owner",
            wake="push" if waking == "push" and sys.platform == "linux" else "poll",
            durable="machine" if durability == "full" else "process",
            shared=True,
        )
        self._place = Place(root, on_network=on_network)
        self._broker = Broker(self._place, durable=durability == "full")
        self._seconds = 30.0
        self._publisher = ""
        self._folders: Sequence[str] = ()
        """Others where files that come may be records."""
        self._begin()

    def _begin(self) -> None:
        self._bell = Bell(self._place.bell, push=self._capabilities.wake == "push", folders=self._folders)
        self._holding = Holding()
        self._mutex = threading.RLock()

    def __repr__(self) -> str:
        return f"<FilesystemStorage {self._place.root!r}: {'open' if self._broker.is_open else 'closed'}>"

    @property
    def capabilities(self) -> Capabilities:
        """See Storage."""
        return self._capabilities

    def open(self, seconds: float) -> None:
        """Open the folder, or make it (for this user only) if the one above exists."""
        if self._broker.is_open:
            return
        self._seconds = seconds
        try:
            self._broker.open()
            with self._step():
                pass  # whatever somebody who died has left is finished
        except BaseException:
            self._broker.close()
            raise

    def close(self, seconds: float) -> None:
        """Let go of the folder and end all waits; leases stay."""
        self._bell.ring()
        with self._mutex:
            self._broker.close()

    def discard(self) -> None:
        """Be closed in a forked child, and leave alone what is the parent's."""
        self._broker.forget()
        self._begin()

    def _step(self, until: float | None = None) -> contextlib.AbstractContextManager[Step]:
        self._check_open()
        seconds = self._seconds if until is None else min(self._seconds, until - time.monotonic())
        return self._broker.step(seconds)

    def _check_open(self) -> None:
        if not self._broker.is_open:
            raise errors.make(errors.ConnectionClosed, f"{self._place.root} is not open: call open()")

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
        """Write all puts into all their targets, if every guard holds; on the disk when it returns."""
        self._check_open()
        with named(self._place.root):
            pack = Pack(self._broker, puts) if puts else None
        try:
            with self._step(until) as step:
                if not self._is_next(step, publisher):
                    return ()
                puts = step.parked(puts, guards, park) or puts
                problems = write_records(step, puts, pack, limited=True) if pack else []
                if publisher is not None:
                    step.broker.count(publisher)
            if pack:
                with named(self._place.root):
                    pack.sync()
        finally:
            if pack:
                pack.discard()
        return problems

    def _is_next(self, step: Step, publisher: tuple[str, int] | None) -> bool:
        """Tell whether a publisher's number is the one that comes next; nobody counts where there is none."""
        if publisher is None:
            return True
        self._publisher, number = publisher
        return number == step.broker.last_number(self._publisher) + 1

    def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:
        """Tell the last number of the publisher named last; every put was decided when it returned."""
        with self._step(time.monotonic() + seconds) as step:
            return step.broker.last_number(self._publisher), ()

    def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Settle, then take and lease. The owner is kept for `lease_ms` less a twentieth, at most 250 ms."""
        self._check_open()
        with named(self._place.root):
            wants = [(queue, count) for queue, count in wants if count > 0 and self._broker.has_ready(queue)]
        if not wants:
            return (), self.settle(settle, owner, until=until) if settle else ()
        taken: list[Taken] = []
        with self._step(until) as step:
            lost = taking.settle(self._broker, settle, owner)
            for queue, count in wants:
                line = step.line(queue)
                if line is not None and line.counters.count:
                    folder = self._holding.hold(step, owner, lease_ms)
                    taken.extend(take(step, line, folder, line.heads(), count, counted=True))
        return read(self._broker, taken), lost

    def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take and lease ready records that have outlived their ttl_ms, wherever they stand in the queue."""
        with self._step(until) as step:
            line = step.line(queue)
            dead = line.dead(wall_ms()) if line is not None and count > 0 else []
            if line is None or not dead:
                return ()
            folder = self._holding.hold(step, owner, lease_ms)
            taken = list(take(step, line, folder, dead, count, counted=False))
        return read(self._broker, taken)

    def trim(
        self,
        queue: str,
        max_count: int | None,
        max_bytes: int | None,
        owner: str,
        lease_ms: int,
        limit: int = 100,
        *,
        until: float | None = None,
    ) -> Sequence[Leased]:
        """Take and lease heads until the queue is within both limits."""
        limits = Target(queue, max_count=max_count, max_bytes=max_bytes)
        taken: list[Taken] = []
        with self._step(until) as step:
            line = step.line(queue)
            if line is None or limit <= 0 or not has_limit(limits) or excess(step, limits, 0, 0) == (0, 0):
                return ()
            folder = self._holding.hold(step, owner, lease_ms)
            while len(taken) < limit and line.counters.count and excess(step, limits, 0, 0) != (0, 0):
                taken.extend(take(step, line, folder, line.heads(), 1, counted=False))
        return read(self._broker, taken)

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Delete taken records for good."""
        self._check_open()
        with named(self._place.root):
            return taking.settle(self._broker, tokens, owner)

    def release(
        self,
        tokens: Sequence[Token],
        owner: str,
        delay_ms: int = 0,
        *,
        counted: bool = True,
        until: float | None = None,
    ) -> Sequence[Token]:
        """Put taken records back to their old places."""
        if not tokens:
            return ()
        with self._step(until) as step:
            owners = step.broker.owners
            lost = [
                token for token in tokens if not step.release(owners.taken(owner, token), delay_ms, counted=counted)
            ]
            step.broker.ring()
        return lost

    def forward(
        self,
        token: Token,
        owner: str,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        *,
        until: float | None = None,
    ) -> bool:
        """Settle a taken record and put others."""
        return not self.forward_many([(token, puts)], owner, guards, until=until)

    def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        """Settle taken records and put others."""
        self._check_open()
        with named(self._place.root):
            pack = Pack(self._broker, [put for _, puts in moves for put in puts])
        try:
            with self._step(until) as step:
                lost = forward(step, moves, owner, guards, pack)
            with named(self._place.root):
                pack.sync()
        finally:
            pack.discard()
        return lost

    # -------------------------------------------------------------------------------------------- owners

    def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Keep an owner; False if this object registered it before and it was forgotten since then."""
        with self._step(until) as step:
            self._holding.hold(step, owner, lease_ms, exactly=True)
        return not self._holding.was_forgotten(owner)

    def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Name what an owner holds."""
        with self._step(until) as step:
            return [(held.folder, held.name) for held in step.broker.owners.held(owner)]

    def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        """Name the owners past their time, all those of before a reboot among them."""
        with self._step(until) as step:
            return step.broker.owners.dead()

    def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        """Give back what an owner holds that is past its time."""
        if force:
            self._holding.leave(owner)
        with self._step(until) as step:
            if not force and not step.broker.owners.is_past(owner):
                return False
            return step.give_back(owner, limit)

    # ---------------------------------------------------------------------------------------------- time

    def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Make delayed records ready; tell what has expired; notice if the folder was deleted or replaced."""
        self._check_open()
        if not self._place.is_unchanged():
            self._broker.close()
            raise errors.make(errors.StorageError, f"{self._place.root} {GONE}")
        with named(self._place.root):
            self._place.clear_up()
            _, _, due, end = self._broker.header.peek()
        now = wall_ms()
        promoted: Sequence[str] = ()
        expired: Sequence[str] = ()
        coming = end or None
        if (due and due <= now) or (end and end <= now):
            with self._step(until) as step:
                if due and due <= now:
                    promoted = sweeping.promote(step, limit)
                expired, coming = sweeping.find_expired(self._broker, step)
                due = step.header.next_due
        times = [time for time in (due or None, coming) if time is not None]
        return Swept(promoted, expired, max(0, min(times) - now) / 1000 if times else None)

    def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues has a ready record."""
        self._check_open()
        with named(self._place.root):
            return watching.wait(self._bell, lambda: self._broker.ready(queues), seconds)

    def wake(self) -> None:
        """End all running waits; if there is none, the next."""
        self._bell.ring()

    # ---------------------------------------------------------------------------------------- management

    def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        """Count what each queue holds; taken and delayed records are listed for it."""
        with self._step(until) as step:
            return looking.depth(step, list(queues))

    def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at the records that come next."""
        with self._step(until) as step:
            return looking.heads(step, queue, count)

    def purge(self, queue: str, *, until: float | None = None) -> int:
        """Delete the ready records of a queue."""
        with self._step(until) as step:
            return looking.purge(step, queue)

    # ----------------------------------------------------------------------------------------- catalogue

    def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        """Read groups, and parts of others, as they stand at one moment."""
        with self._step(until) as step:
            return step.catalogue().read(groups, parts or {})

    def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:
        """Give the revisions of groups."""
        with self._step(until) as step:
            found = step.catalogue()
            return [found.revision(group) for group in groups]

    def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:
        """Give revision and age (ms) of the groups whose name starts so."""
        with self._step(until) as step:
            return step.catalogue().list(prefix)

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
        """Write values and drop queues, if every group still has the expected revision."""
        with self._step(until) as step:
            known = step.catalogue()
            if any(known.revision(group) != revision for group, revision in expect.items()):
                return False
            if if_dead is not None and not step.broker.owners.is_dead(if_dead):
                return False
            lines = [step.line(queue) for queue in drop]
            if only_empty and any(line is not None and line.counters.count for line in lines):
                return False
            step.change_catalogue(writes, drop)
            return True
