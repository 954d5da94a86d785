"""The memory transport: a broker inside the process, one for each name (`memory://`, `memory://name`).

It ends with the process, and a forked child begins with an empty one. Leases end with the Storage object that took
them: one that is collected without `close` leaves dead owners, whom others may bury.
"""

from __future__ import annotations

import math
import queue
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, cast

from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Target, Token
from dulse.policy.clocks import Clock
from dulse.transports.memory_store.queue import Entry
from dulse.transports.memory_store.registry import find_store, forget_store
from dulse.transports.memory_store.shut import Shut
from dulse.transports.memory_store.store import MemoryStore
from dulse.transports.memory_store.waiters import Waiter
from dulse.virtual.arming import Notify, merged
from dulse.virtual.storage import Move, StaleTopology

__all__ = ["MemoryStorage", "forget_store"]


class MemoryStorage:
    """The Storage contract on the store of one name. A payload is a `dulse.model.message.Record`, whose body counts."""

    capabilities: Final = Capabilities(objects=True, leases="process", durable="nothing", shared=False, wake="push")

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._owned: set[str] = set()
        self._waiting: dict[Waiter, None] = {}
        self._publisher = ""
        self._finalizer: weakref.finalize[..., MemoryStorage] | None = None
        self._shut("is not open yet: call open()")

    def __repr__(self) -> str:
        return f"<MemoryStorage {self._name!r}: {'closed' if self._finalizer is None else 'open'}>"

    def _shut(self, state: str) -> None:
        self._store = cast("MemoryStore", Shut(f"memory store {self._name!r} {state}"))

    def open(self, seconds: float) -> None:
        """Find the store of this name, or make it."""
        if self._finalizer is not None:
            return
        self._store = find_store(self._name, self._clock)
        self._finalizer = weakref.finalize(self, self._store.abandon, self._owned)
        self._finalizer.atexit = False

    def close(self, seconds: float) -> None:
        """Let go of the store, and end all waits; leases that were not released are a dead owner's from now on."""
        if self._finalizer is None:
            return
        self._finalizer.detach()
        store = self._store
        with store.lock:
            dead = [owner for owner in self._owned if store.owners.get(owner)]
            for owner in self._owned.difference(dead):
                store.owners.pop(owner, None)
        self._end("is closed: call open()")
        store.abandon(dead)
        self.wake()

    def discard(self) -> None:
        """Forget the store of the parent process."""
        if self._finalizer is not None:
            self._finalizer.detach()
        self._end("was the parent process's: call open()")

    def _end(self, state: str) -> None:
        self._finalizer = None
        self._owned = set()
        self._shut(state)

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
        """Write all puts into all their targets, if every guard holds."""
        if publisher is not None:
            return self._put_numbered(puts, guards, publisher, park)
        store = self._store
        problems: Sequence[Problem] = ()
        with store.lock:
            for group, revision in guards:
                if store.catalogue.revisions.get(group, 0) != revision:
                    puts = _parked(puts, park, group)
                    break
            now = store.monotonic()
            queues = store.queues
            index = -1
            for payload, targets, _ in puts:
                index += 1
                for target in targets:
                    name, priority, ttl_ms, delay_ms, max_count, max_bytes, _ = target
                    queue = queues.get(name)
                    if (
                        queue is None
                        or delay_ms
                        or max_count is not None
                        or max_bytes is not None
                        or priority not in queue.levels
                    ):
                        problems = store.add(index, payload, target, now, problems)
                        continue
                    if queue.bytes is not None:
                        queue.bytes += len(payload.body)
                    if ttl_ms is not None:
                        store.timed[queue] = None
                    queue.levels[priority].append((next(store.places), payload, now, ttl_ms, 0, queue, priority))
                    if name in store.waiters.by_queue:
                        store.waiters.tell(name)
        return problems

    def _put_numbered(
        self, puts: Sequence[Put], guards: Sequence[Guard], publisher: tuple[str, int], park: str | None
    ) -> Sequence[Problem]:
        name, number = publisher
        store = self._store
        with store.lock:
            self._publisher = name
            if store.publishers.get(name, 0) + 1 != number:
                return ()
            problems = self.put(puts, guards, None, park)
            store.number(name, number)
            return problems

    def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:
        """Tell the last number of the publisher named last; every put was decided when it returned."""
        return self._store.publishers.get(self._publisher, 0), ()

    def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Settle, then take and lease."""
        store = self._store
        taken: list[Leased] = []
        with store.lock:
            lost = store.settle(settle, owner) if settle else ()
            held = store.owners.get(owner)
            for name, wanted in wants:
                found = store.queues.get(name)
                if found is not None and wanted > 0 and any(found.order):
                    if held is None:
                        held = self._register(owner)
                    taken += store.take(found, wanted, held)
        return taken, lost

    def _register(self, owner: str) -> dict[Token, Entry]:
        self._owned.add(owner)
        self._store.dead.pop(owner, None)
        return self._store.owners.setdefault(owner, {})

    def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take and lease heads that have outlived their ttl_ms."""
        store = self._store
        with store.lock:
            found = store.queues.get(queue)
            if found is None or count <= 0 or not store.has_expired(found):
                return []
            return store.take_expired(found, count, self._register(owner))

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
        store = self._store
        with store.lock:
            found = store.queues.get(queue)
            excess = (0, 0) if found is None else found.excess(max_count, max_bytes)
            if found is None or max(excess) <= 0 or limit <= 0:
                return ()
            return store.take_excess(found, excess, limit, self._register(owner))

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Delete taken records for good."""
        with self._store.lock:
            return self._store.settle(tokens, owner)

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
        with self._store.lock:
            return self._store.give_back(tokens, owner, delay_ms, counted=counted)

    def forward(
        self, token: Token, owner: str, puts: Sequence[Put], guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> bool:
        """Settle a taken record and put others."""
        store = self._store
        with store.lock:
            if token not in store.owners.get(owner, ()):
                return False
            self.put([put.unlimited() for put in puts], guards)
            store.settle([token], owner)
            return True

    def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        """Forward each record, all in one step."""
        with self._store.lock:
            return [token for token, puts in moves if not self.forward(token, owner, puts, guards)]

    # -------------------------------------------------------------------------------------------- owners

    def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Make the owner known; it lives as long as this Storage object."""
        with self._store.lock:
            self._register(owner)
        return True

    def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Name what an owner holds."""
        with self._store.lock:
            return list(self._store.owners.get(owner, ()))

    def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        """Name the owners whose Storage object is gone."""
        return dict.fromkeys(list(self._store.dead), math.inf), None

    def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        """Give back what a dead owner holds."""
        store = self._store
        with store.lock:
            return (force or owner in store.dead) and store.forget(owner, limit)

    # ---------------------------------------------------------------------------------------------- time

    def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Make delayed records ready whose time has come; tell where heads have outlived their ttl_ms."""
        store = self._store
        with store.lock:
            now = store.now()
            promoted = store.promote(limit, now)
            dues = [store.delayed[0][0]] if store.delayed else []
            expired = []
            for each, expiry in store.expiries():
                if expiry > now:
                    dues.append(expiry)
                else:
                    expired.append(each.name)
            return Swept(promoted, expired, max(0.0, min(dues) - now) if dues else None)

    def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues has a ready record."""
        heard: queue.SimpleQueue[Sequence[str] | None] = queue.SimpleQueue()
        disarm = self.arm(queues, seconds, heard.put)
        try:
            answers = [heard.get(timeout=min(max(0, seconds), threading.TIMEOUT_MAX))]
        except queue.Empty:
            return ()
        finally:
            disarm()
        while not heard.empty():
            answers.append(heard.get_nowait())
        return merged(answers)

    def arm(self, queues: Sequence[str], seconds: float, notify: Notify) -> Callable[[], None]:
        """Have `notify` told what a `wait` would answer; see `dulse.virtual.arming.ArmedStorage`."""
        store = self._store
        end = store.monotonic() + seconds
        waiter = Waiter(tuple(queues), notify)
        with store.lock:
            self._waiting[waiter] = None
            store.arm(waiter)

        def look() -> None:
            if store.monotonic() >= end:
                notify(())

        def disarm() -> None:
            unsubscribe()
            with store.lock:
                store.waiters.remove(waiter)
                self._waiting.pop(waiter, None)

        unsubscribe = store.clock.on_advance(look)
        look()
        return disarm

    def wake(self) -> None:
        """End all running waits of this Storage object; takes no lock, so a signal handler may call it."""
        for waiter in list(self._waiting):
            waiter.notify(None)

    # ---------------------------------------------------------------------------------------- management

    def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        """Count what each queue holds."""
        store = self._store
        with store.lock:
            found = [store.queues.get(name) for name in queues]
            return [Depth(0, 0, 0, 0) if each is None else store.depth(each) for each in found]

    def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at the records that come next."""
        store = self._store
        with store.lock:
            found = store.queues.get(queue)
            now = store.now()
            heads = [] if found is None else found.head(count)
            return [Peeked(entry[1], entry[4], int((now - entry[2]) * 1000), entry[3]) for entry in heads]

    def purge(self, queue: str, *, until: float | None = None) -> int:
        """Delete the ready records of a queue."""
        store = self._store
        with store.lock:
            found = store.queues.get(queue)
            return 0 if found is None else found.clear()

    # ----------------------------------------------------------------------------------------- catalogue

    def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        """Read groups, and parts of others, as they stand at one moment."""
        store = self._store
        with store.lock:
            whole = {name: store.catalogue.read(name) for name in groups}
            return whole | {name: store.catalogue.part(name, fields) for name, fields in (parts or {}).items()}

    def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:
        """Give the revisions of groups."""
        store = self._store
        with store.lock:
            return [store.catalogue.revisions.get(name, 0) for name in groups]

    def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:
        """Give revision and age of the groups whose name starts so."""
        store = self._store
        with store.lock:
            return store.catalogue.listed(prefix)

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
        store = self._store
        with store.lock:
            if not store.catalogue.holds(expect) or (only_empty and any(each.ready for each in self.depth(drop))):
                return False
            if if_dead is not None and not store.is_dead(if_dead):
                return False
            store.catalogue.write(writes)
            for name in drop:
                store.drop(name)
            return True


def _parked(puts: Iterable[Put], park: str | None, group: str) -> list[Put]:
    """Send all payloads to the parking queue, or raise, since the topology has changed."""
    if park is None:
        raise StaleTopology(group)
    return [put._replace(targets=(Target(park),)) for put in puts]
