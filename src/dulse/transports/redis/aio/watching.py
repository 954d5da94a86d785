"""Waits for queues of several shards at once: one waiter for each, told of by one signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Final

from dulse import errors
from dulse.links.waiting.aio import Signal, Spawned, spawn
from dulse.transports.redis.aio.shard import Shard

__all__ = ["Watching"]

_LONGEST: Final = 20.0
"""Seconds for which a waiter waits although nobody asks."""


class Watching:
    """All waits of one store. Whoever waits for one shard does so itself; a waiter ends when it has heard something."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self.begin()

    def __repr__(self) -> str:
        return f"<Watching {len(self._waiters)} of {len(self._shards)} shards>"

    def begin(self) -> None:
        """Know of no waits, and of nothing heard."""
        self._told = Signal()
        self._heard: dict[int, Sequence[str] | None] = {}
        self._wanted: dict[int, frozenset[str]] = {}
        """What the waiter of a shard waits for; it says itself that it does so no more."""
        self._waiters: dict[int, Spawned] = {}
        self._direct: list[Shard] = []
        self._waits: list[object] = []
        self._rung = object()
        self._is_rung = False

    def forget(self, shard: int) -> None:
        """Know of nothing heard: the queues of that shard are looked at now."""
        self._heard.pop(shard, None)

    def wake(self) -> None:
        """End all waits; if there is none, the next. From any thread or signal handler."""
        self._is_rung = not self._waits
        self._rung = object()
        for shard in tuple(self._direct):
            shard.wake()
        self._told.notify()

    async def close(self, until: float) -> None:
        """Await the waiters, whose shards are closed."""
        for waiter in tuple(self._waiters.values()):
            await waiter.join(max(0.0, until - monotonic()))

    async def wait(self, parts: Mapping[int, Sequence[str]], seconds: float) -> Sequence[str] | None:
        """Wait until something may have changed; as `Storage.wait`."""
        mark = object()
        rung = self._rung
        self._waits.append(mark)
        try:
            if self._is_rung:
                self._is_rung = False
                return None
            if len(parts) == 1:
                ((number, queues),) = parts.items()
                return await self._wait_for_one(self._shards[number], queues, seconds)
            return await self._wait_for_all(parts, rung, monotonic() + seconds)
        finally:
            self._waits.remove(mark)

    async def _wait_for_one(self, shard: Shard, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        self._direct.append(shard)
        try:
            return await shard.wait(queues, seconds)
        finally:
            self._direct.remove(shard)

    async def _wait_for_all(
        self, parts: Mapping[int, Sequence[str]], rung: object, until: float
    ) -> Sequence[str] | None:
        while True:
            ticket = self._told.ticket()
            if self._rung is not rung:
                return None
            heard = [self._heard.pop(number) for number in parts if number in self._heard]
            if heard:
                return None if None in heard else [queue for each in heard for queue in each or ()]
            left = until - monotonic()
            if left <= 0:
                return ()
            for number, queues in parts.items():
                self._watch(number, frozenset(queues))
            await self._told.wait(left, ticket)

    def _watch(self, number: int, queues: frozenset[str]) -> None:
        wanted = self._wanted.get(number)
        if wanted is None:
            self._wanted[number] = queues
            name = f"dulse-shard-{number}"
            self._waiters[number] = spawn(partial(self._listen, number, queues), name)
        elif wanted != queues:
            self._shards[number].wake()  # what it hears now is None: all is looked at, and it begins anew

    async def _listen(self, number: int, queues: frozenset[str]) -> None:
        heard: Sequence[str] | None = None
        try:
            heard = await self._shards[number].wait(sorted(queues), _LONGEST)
        except errors.OperationalError:
            heard = None  # the next look at the queues says why
        finally:
            if heard is None or heard:
                self._heard[number] = heard
            self._wanted.pop(number, None)
            self._told.notify()
