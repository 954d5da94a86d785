"""The asyncio form of a store whose calls never wait: no thread, no hop, and an event of the loop for `wait`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence

from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Token
from dulse.virtual.arming import ArmedStorage, merged
from dulse.virtual.storage import Move

Note = Callable[[Sequence[str] | None], None]


class ImmediateStorage:
    """AsyncStorage over a blocking store; each call is done before it could be cancelled. One loop at a time."""

    def __init__(self, storage: ArmedStorage) -> None:
        self._storage = storage
        self._waits: dict[Note, asyncio.AbstractEventLoop] = {}

    def __repr__(self) -> str:
        return f"<ImmediateStorage over {self._storage!r}>"

    @property
    def capabilities(self) -> Capabilities:
        """What the store can do."""
        return self._storage.capabilities

    async def open(self, seconds: float) -> None:
        """See Storage, also for all that follow."""
        self._storage.open(seconds)

    async def close(self, seconds: float) -> None:  # noqa: D102 - see Storage, also for all that follow
        self._storage.close(seconds)

    def discard(self) -> None:  # noqa: D102
        self._storage.discard()

    # ------------------------------------------------------------------------------------------- records

    async def put(  # noqa: D102
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        return self._storage.put(puts, guards, publisher, park, until=until)

    async def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:  # noqa: D102
        return self._storage.barrier(seconds)

    async def reserve(  # noqa: D102
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        return self._storage.reserve(wants, owner, lease_ms, settle, until=until)

    async def reserve_expired(  # noqa: D102
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        return self._storage.reserve_expired(queue, count, owner, lease_ms, until=until)

    async def trim(  # noqa: D102
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
        return self._storage.trim(queue, max_count, max_bytes, owner, lease_ms, limit, until=until)

    async def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:  # noqa: D102
        return self._storage.settle(tokens, owner, until=until)

    async def release(  # noqa: D102
        self,
        tokens: Sequence[Token],
        owner: str,
        delay_ms: int = 0,
        *,
        counted: bool = True,
        until: float | None = None,
    ) -> Sequence[Token]:
        return self._storage.release(tokens, owner, delay_ms, counted=counted, until=until)

    async def forward(  # noqa: D102
        self, token: Token, owner: str, puts: Sequence[Put], guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> bool:
        return self._storage.forward(token, owner, puts, guards, until=until)

    async def forward_many(  # noqa: D102
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        return self._storage.forward_many(moves, owner, guards, until=until)

    # -------------------------------------------------------------------------------------------- owners

    async def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:  # noqa: D102
        return self._storage.renew(owner, lease_ms, until=until)

    async def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:  # noqa: D102
        return self._storage.held(owner, until=until)

    async def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:  # noqa: D102
        return self._storage.dead_owners(until=until)

    async def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:  # noqa: D102
        return self._storage.forget(owner, limit, force=force, until=until)

    # ---------------------------------------------------------------------------------------------- time

    async def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:  # noqa: D102
        return self._storage.sweep(limit, until=until)

    async def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait without a thread; cancelling it takes nothing from anybody."""
        loop = asyncio.get_running_loop()
        thread = threading.get_ident()
        heard = loop.create_future()
        answers: list[Sequence[str] | None] = []

        def note(answer: Sequence[str] | None) -> None:
            answers.append(answer)
            if not heard.done():
                heard.set_result(None)

        def notify(answer: Sequence[str] | None) -> None:
            if threading.get_ident() != thread:
                _call_soon(loop, note, answer)
            elif not loop.is_closed():
                note(answer)

        disarm = self._storage.arm(queues, seconds, notify)
        timer = loop.call_later(min(seconds, threading.TIMEOUT_MAX), note, ())
        self._waits[note] = loop
        try:
            await heard
        finally:
            timer.cancel()
            del self._waits[note]
            disarm()
        return merged(answers)

    def wake(self) -> None:
        """End all running waits, from any thread or signal handler (which may interrupt a sleeping loop)."""
        for note, loop in list(self._waits.items()):
            _call_soon(loop, note, None)

    # ---------------------------------------------------------------------------------------- management

    async def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:  # noqa: D102
        return self._storage.depth(queues, until=until)

    async def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:  # noqa: D102
        return self._storage.peek(queue, count, until=until)

    async def purge(self, queue: str, *, until: float | None = None) -> int:  # noqa: D102
        return self._storage.purge(queue, until=until)

    # ----------------------------------------------------------------------------------------- catalogue

    async def read(  # noqa: D102
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        return self._storage.read(groups, parts, until=until)

    async def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:  # noqa: D102
        return self._storage.revisions(groups, until=until)

    async def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:  # noqa: D102
        return self._storage.groups(prefix, until=until)

    async def change(  # noqa: D102
        self,
        expect: Mapping[str, Revision],
        writes: Mapping[tuple[str, str], str | None],
        drop: Sequence[str] = (),
        *,
        only_empty: bool = False,
        if_dead: str | None = None,
        until: float | None = None,
    ) -> bool:
        return self._storage.change(expect, writes, drop, only_empty=only_empty, if_dead=if_dead, until=until)


def _call_soon(loop: asyncio.AbstractEventLoop, note: Note, answer: Sequence[str] | None) -> None:
    try:
        loop.call_soon_threadsafe(note, answer)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
