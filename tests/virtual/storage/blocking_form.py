"""An AsyncStorage as a blocking Storage, so that the suite of the contract runs on it too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Token
from dulse.virtual.storage import AsyncStorage, Move

Result = TypeVar("Result")


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class BlockingForm:
    """Every call is a hop into the loop, and waits for its end."""

    def __init__(self, storage: AsyncStorage, loop: Loop) -> None:
        self._storage = storage
        self._run = loop.run

    @property
    def capabilities(self) -> Capabilities:
        return self._storage.capabilities

    def open(self, seconds: float) -> None:
        self._run(self._storage.open(seconds))

    def close(self, seconds: float) -> None:
        self._run(self._storage.close(seconds))

    def discard(self) -> None:
        self._storage.discard()

    def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        return self._run(self._storage.put(puts, guards, publisher, park, until=until))

    def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:
        return self._run(self._storage.barrier(seconds))

    def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        return self._run(self._storage.reserve(wants, owner, lease_ms, settle, until=until))

    def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        return self._run(self._storage.reserve_expired(queue, count, owner, lease_ms, until=until))

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
        return self._run(self._storage.trim(queue, max_count, max_bytes, owner, lease_ms, limit, until=until))

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        return self._run(self._storage.settle(tokens, owner, until=until))

    def release(
        self,
        tokens: Sequence[Token],
        owner: str,
        delay_ms: int = 0,
        *,
        counted: bool = True,
        until: float | None = None,
    ) -> Sequence[Token]:
        return self._run(self._storage.release(tokens, owner, delay_ms, counted=counted, until=until))

    def forward(
        self, token: Token, owner: str, puts: Sequence[Put], guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> bool:
        return self._run(self._storage.forward(token, owner, puts, guards, until=until))

    def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        return self._run(self._storage.forward_many(moves, owner, guards, until=until))

    def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        return self._run(self._storage.renew(owner, lease_ms, until=until))

    def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:
        return self._run(self._storage.held(owner, until=until))

    def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        return self._run(self._storage.dead_owners(until=until))

    def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        return self._run(self._storage.forget(owner, limit, force=force, until=until))

    def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        return self._run(self._storage.sweep(limit, until=until))

    def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        return self._run(self._storage.wait(queues, seconds))

    def wake(self) -> None:
        self._storage.wake()

    def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        return self._run(self._storage.depth(queues, until=until))

    def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        return self._run(self._storage.peek(queue, count, until=until))

    def purge(self, queue: str, *, until: float | None = None) -> int:
        return self._run(self._storage.purge(queue, until=until))

    def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        return self._run(self._storage.read(groups, parts, until=until))

    def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:
        return self._run(self._storage.revisions(groups, until=until))

    def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:
        return self._run(self._storage.groups(prefix, until=until))

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
        return self._run(
            self._storage.change(expect, writes, drop, only_empty=only_empty, if_dead=if_dead, until=until)
        )
