"""The data of one memory store, and the steps that change it.

Whoever works on a store holds its lock. Three things may happen inside it all the same: a signal handler puts (the
lock is re-entrant), `MemoryStorage.wake`, and the collector's word that a Storage object is gone. So places and
tokens come from counters that give each number once, a record is leased before it is no longer ready, and `abandon`
takes no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count, islice

from dulse.model.records import Depth, Leased, Payload, Problem, Target, Token
from dulse.policy.clocks import Clock
from dulse.transports.memory_store.catalogue import MemoryCatalogue
from dulse.transports.memory_store.queue import Entry, Level, MemoryQueue
from dulse.transports.memory_store.waiters import Waiter, Waiters

PUBLISHERS = 10_000
"""Numbers are remembered of so many publishers."""

INSTANT = 1e-7
"""Seconds by which a time may be off: sums of fractions must not make 1000 ms look like 999."""

_new = tuple.__new__  # makes a Leased at half the price of calling it


class MemoryStore:
    """Queues, leases, waiters and the catalogue of one name."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.monotonic = clock.monotonic
        self.begin()

    def begin(self) -> None:
        """Be empty and unlocked."""
        self.lock = threading.RLock()
        self.queues: dict[str, MemoryQueue] = {}
        self.timed: dict[MemoryQueue, None] = {}
        """Queues that may hold records with a time to live."""
        self.delayed: list[tuple[float, int, bool, Entry]] = []
        """A heap of (due, number, whether it was never ready, record)."""
        self.owners: dict[str, dict[Token, Entry]] = {}
        self.dead: dict[str, None] = {}
        self.publishers: dict[str, int] = {}
        self.catalogue = MemoryCatalogue(self.now)
        self.waiters = Waiters()
        self.places = count(1)
        self.tokens = count(1)

    def __repr__(self) -> str:
        held = sum(map(len, self.owners.values()))
        return f"<MemoryStore {self.name!r}: {len(self.queues)} queues, {held} leased, {len(self.catalogue)} groups>"

    def now(self) -> float:
        """Give the time (s) to compare with times that were taken before."""
        return self.monotonic() + INSTANT

    # ------------------------------------------------------------------------------------------- records

    def add(
        self, index: int, payload: Payload, target: Target, now: float, problems: Sequence[Problem]
    ) -> Sequence[Problem]:
        """Put one record into one queue, whatever its target asks for; gives the problems so far."""
        name, priority, ttl_ms, delay_ms, max_count, max_bytes, refuse = target
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = MemoryQueue(name)
        if delay_ms:
            due = now + delay_ms / 1000
            self._delay((0, payload, due, ttl_ms, 0, queue, priority), due, fresh=True)
            return problems
        count_over = 0 if max_count is None else max(0, queue.ready() + 1 - max_count)
        bytes_over = 0 if max_bytes is None else max(0, queue.size() + len(payload.body) - max_bytes)
        if count_over or bytes_over:
            if refuse:
                return [*problems, Problem(index, name, -1)]
            # What a queue is over is told once a call, as it is at the end.
            problems = [
                *(each for each in problems if each.queue != name),
                Problem(index, name, count_over, bytes_over),
            ]
        if ttl_ms is not None:
            self.timed[queue] = None
        if queue.bytes is not None:
            queue.bytes += len(payload.body)
        queue.level(priority).append((next(self.places), payload, now, ttl_ms, 0, queue, priority))
        self.waiters.tell(name)
        return problems

    def number(self, publisher: str, number: int) -> None:
        """Remember the last number of a publisher, and of the latest publishers only."""
        self.publishers.pop(publisher, None)
        if len(self.publishers) >= PUBLISHERS:
            del self.publishers[next(iter(self.publishers))]
        self.publishers[publisher] = number

    def take(self, queue: MemoryQueue, wanted: int, held: dict[Token, Entry]) -> list[Leased]:
        """Lease the records that come next, and count that as a delivery."""
        now = self.monotonic() + INSTANT
        taken: list[Leased] = []
        name = queue.name
        for level in queue.order:
            if not level:
                continue
            number = min(wanted, len(level))
            pop = level.popleft
            for token in islice(self.tokens, number):
                # Leased before it is no longer ready: an interruption may repeat a record, never lose it.
                _, payload, since, ttl_ms, deliveries, _, _ = held[token] = level[0]
                pop()
                taken.append(_new(Leased, (token, name, payload, deliveries + 1, int((now - since) * 1000), ttl_ms)))
            wanted -= number
            if wanted <= 0:
                break
        if queue.bytes is not None:
            queue.shrunk(leased.payload for leased in taken)
        return taken

    def has_expired(self, queue: MemoryQueue) -> bool:
        """Tell whether one of the heads has outlived its time to live."""
        now = self.now()
        heads = [level[0] for level in queue.order if level]
        return any(ttl_ms is not None and int((now - since) * 1000) >= ttl_ms for _, _, since, ttl_ms, *_ in heads)

    def take_expired(self, queue: MemoryQueue, wanted: int, held: dict[Token, Entry]) -> list[Leased]:
        """Lease heads that have outlived their time to live; that is no delivery."""
        now = self.now()
        taken: list[Leased] = []
        for level in queue.order:
            while level and len(taken) < wanted:
                _, _, since, ttl_ms, *_ = level[0]
                if ttl_ms is None or int((now - since) * 1000) < ttl_ms:
                    break
                taken.append(self._lease_undelivered(level, held, now))
        queue.shrunk(leased.payload for leased in taken)
        return taken

    def take_excess(
        self, queue: MemoryQueue, excess: tuple[int, int], limit: int, held: dict[Token, Entry]
    ) -> list[Leased]:
        """Lease the records that come next while so many records or bytes are too much; that is no delivery."""
        now = self.now()
        count, size = excess
        taken: list[Leased] = []
        for level in queue.order:
            while level and len(taken) < limit and (len(taken) < count or size > 0):
                leased = self._lease_undelivered(level, held, now)
                size -= len(leased.payload.body)
                taken.append(leased)
        queue.shrunk(leased.payload for leased in taken)
        return taken

    def _lease_undelivered(self, level: Level, held: dict[Token, Entry], now: float) -> Leased:
        order, payload, since, ttl_ms, deliveries, queue, priority = level[0]
        token = next(self.tokens)
        held[token] = (order, payload, since, ttl_ms, deliveries - 1, queue, priority)
        level.popleft()
        return Leased(token, queue.name, payload, deliveries, int((now - since) * 1000), ttl_ms)

    def settle(self, tokens: Iterable[Token], owner: str) -> list[Token]:
        """Delete leased records; gives the tokens that are not the owner's."""
        held = self.owners.get(owner)
        if held is None:
            return list(tokens)
        lost = []
        for token in tokens:
            entry = held.pop(token, None)
            if entry is None:
                lost.append(token)
        return lost

    def depth(self, queue: MemoryQueue) -> Depth:
        """Count what a queue holds; the leased records one by one, since a counter would not outlive interruptions."""
        leased = sum(entry[5] is queue for held in self.owners.values() for entry in held.values())
        return Depth(queue.ready(), leased, queue.delayed, queue.size())

    def give_back(self, tokens: Iterable[Token], owner: str, delay_ms: int = 0, *, counted: bool = True) -> list[Token]:
        """Make leased records ready at their old places, now or later; gives the tokens that are not the owner's."""
        held = self.owners.get(owner, {})
        found, lost = [], []
        for token in dict.fromkeys(tokens):
            entry = held.get(token)
            if entry is None:
                lost.append(token)
            else:
                found.append((entry, token))
        # From the back, as they were taken from the front: nearly all then belong in front of what is there.
        for (order, payload, since, ttl_ms, deliveries, queue, priority), token in reversed(found):
            entry = (order, payload, since, ttl_ms, max(0, deliveries + counted), queue, priority)
            if delay_ms:
                self._delay(entry, self.monotonic() + delay_ms / 1000, fresh=False)
            else:
                self._restore(entry)
            del held[token]  # after it has its place: an interruption may repeat a record, never lose it
        if not delay_ms:
            for queue in dict.fromkeys(entry[5] for entry, _ in found):
                self.waiters.tell(queue.name)
        return lost

    def _restore(self, entry: Entry) -> None:
        if entry[3] is not None:
            self.timed[entry[5]] = None
        entry[5].restore(entry)

    # ---------------------------------------------------------------------------------------------- time

    def _delay(self, entry: Entry, due: float, *, fresh: bool) -> None:
        heappush(self.delayed, (due, next(self.places), fresh, entry))
        entry[5].delayed += 1

    def promote(self, limit: int, now: float) -> list[str]:
        """Make up to `limit` delayed records ready whose time has come; gives the names of their queues."""
        promoted: dict[str, None] = {}
        delayed = self.delayed
        while delayed and delayed[0][0] <= now and limit > 0:
            _, _, fresh, entry = heappop(delayed)
            if fresh:  # it becomes the youngest now; one that was released returns to its old place
                entry = (next(self.places), *entry[1:])
            self._restore(entry)
            entry[5].delayed -= 1
            promoted[entry[5].name] = None
            limit -= 1
        for name in promoted:
            self.waiters.tell(name)
        return list(promoted)

    def expiries(self) -> list[tuple[MemoryQueue, float]]:
        """Give each queue with a head that expires, and when."""
        found = []
        for queue in list(self.timed):
            expiry = queue.expiry()
            if expiry is not None:
                found.append((queue, expiry))
            elif not any(queue.order):
                del self.timed[queue]
        return found

    def drop(self, name: str) -> None:
        """Delete a queue with all its records."""
        queue = self.queues.pop(name, None)
        if queue is None:
            return
        queue.clear()
        self.timed.pop(queue, None)
        if queue.delayed:
            self.delayed = [each for each in self.delayed if each[3][5] is not queue]
            heapify(self.delayed)
        for held in self.owners.values():
            for token in [token for token, entry in held.items() if entry[5] is queue]:
                del held[token]
        self.waiters.tell(name)

    # ------------------------------------------------------------------------------------------- waiting

    def arm(self, waiter: Waiter) -> None:
        """Tell a waiter of the next record of any of his queues; at once, if there is one."""
        found = [name for name in waiter.queues if (queue := self.queues.get(name)) is not None and any(queue.order)]
        if found:
            waiter.notify(found)
        else:
            self.waiters.add(waiter)

    def is_dead(self, owner: str) -> bool:
        """Tell whether an owner was declared dead, or is not known."""
        return owner in self.dead or owner not in self.owners

    def forget(self, owner: str, limit: int) -> bool:
        """Give back up to `limit` records of an owner, who is dead from now on; True: there are more."""
        held = self.owners.get(owner, {})
        self.give_back(list(held)[:limit], owner)
        if held:
            self.dead[owner] = None
        else:
            self.owners.pop(owner, None)
            self.dead.pop(owner, None)
        return bool(held)

    def abandon(self, owners: Collection[str]) -> None:
        """Declare owners dead, and wake everybody to bury them. Takes no lock: the collector may call it anywhere."""
        if owners:
            self.dead.update(dict.fromkeys(owners))
            self.waiters.tell_all()
