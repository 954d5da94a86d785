"""The asyncio form of any blocking store: a few threads, one hop a call, and nothing lost when a call is cancelled.

A call whose `await` is cancelled is carried out all the same, in its thread. What a cancelled take has taken goes back
as soon as it is known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from dulse import errors
from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Token
from dulse.virtual.hops import Hop, Threads
from dulse.virtual.storage import Move, Storage

Result = TypeVar("Result")

THREADS: Final = 4
"""Calls that run at once; the others wait their turn. Threads are made when they are needed."""

HOP: Final = 0.1
"""Seconds that a call may need to get into a thread, even one that has no time at all."""

NUDGE: Final = 0.05
"""Seconds until a wait that has not ended is woken again: it may not have begun when it was woken first."""


class ThreadedStorage:
    """AsyncStorage over a blocking Storage. One loop at a time may use it; calls may overtake each other."""

    def __init__(self, storage: Storage, threads: int = THREADS) -> None:
        self._storage = storage
        self._number = threads
        self._threads: Threads | None = None
        self._waits: dict[Future[object], asyncio.AbstractEventLoop] = {}
        self._seconds = 30.0

    def __repr__(self) -> str:
        state = "closed" if self._threads is None else f"{len(self._threads.running)} calls running"
        return f"<ThreadedStorage over {self._storage!r}: {state}>"

    @property
    def capabilities(self) -> Capabilities:
        """What the store can do."""
        return self._storage.capabilities

    async def open(self, seconds: float) -> None:
        """See Storage, also for all that follow."""
        self._seconds = seconds
        if self._threads is None:
            self._threads = Threads(self._number)
        try:
            await self._run(partial(self._storage.open, seconds), seconds)
        except Exception:
            self._end(wait=True)
            raise

    async def close(self, seconds: float) -> None:
        """Close the store when all calls have ended, and end the threads."""
        if self._threads is None:
            return
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await self._finish(self._threads, seconds)
        except TimeoutError:
            self._end(wait=False)
            if not limit.expired():
                raise
            text = f"{self._storage!r} was not closed within {seconds} s, its calls have not ended: give it more time"
            raise errors.make(errors.DeadlineExceeded, text) from None
        self._end(wait=True)

    async def _finish(self, threads: Threads, seconds: float) -> None:
        self.wake()
        await threads.settled()
        await self._run(partial(self._storage.close, seconds), seconds)
        await threads.settled()

    def _end(self, *, wait: bool) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.end(wait=wait)

    def discard(self) -> None:
        """Forget the store, and the threads, which a forked child does not have."""
        self._threads = None
        self._waits = {}
        self._storage.discard()

    def _opened(self) -> Threads:
        if self._threads is None:
            raise errors.make(errors.ConnectionClosed, f"{self._storage!r} is closed: call open()")
        return self._threads

    async def _call(
        self, work: Callable[..., Result], until: float | None, late: Callable[[Result], object] | None = None
    ) -> Result:
        """Do one of the store's calls, which has to end by then; `late` is given a result nobody waits for any more."""
        seconds = self._seconds if until is None else until - time.monotonic()
        return await self._run(partial(work, until=until), seconds, late)

    async def _run(
        self, work: Callable[[], Result], seconds: float, late: Callable[[Result], object] | None = None
    ) -> Result:
        """Do `work` in a thread, which keeps its own deadline once it has begun; it must begin within `seconds`."""
        threads = self._opened()
        hop = Hop(work, late)
        future = threads.submit(threads.calls, hop.run)
        timer = asyncio.get_running_loop().call_later(max(seconds, HOP), self._withdraw, future, hop, seconds)
        try:
            return await hop.answered()
        finally:
            timer.cancel()

    def _withdraw(self, future: Future[object], hop: Hop[Result], seconds: float) -> None:
        """Give up a call that has not begun: all threads are still busy with others."""
        if future.cancel():
            text = f"{self._storage!r} was busy with {self._number} other calls for {seconds:.1f} s: nothing was done"
            hop.fail(errors.make(errors.StorageBusy, text))

    # ------------------------------------------------------------------------------------------- records

    async def put(  # noqa: D102 - see Storage, also for all that follow
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        return await self._call(partial(self._storage.put, list(puts), guards, publisher, park), until)

    async def put_within(self, session: Any, puts: Sequence[Put], guards: Sequence[Guard] = ()) -> Sequence[Problem]:
        """Put by the caller's session, where the store can; not in a thread: it belongs to this task."""
        storage: Any = self._storage
        return await storage.put_within_soon(session, list(puts), guards)  # type: ignore[no-any-return]

    async def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:  # noqa: D102
        return await self._run(partial(self._storage.barrier, seconds), seconds)

    async def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Settle, take and lease; what a cancelled one has taken goes back at once, as if it had not been taken."""
        give_back = self._returning(owner, counted=False)
        work = partial(self._storage.reserve, list(wants), owner, lease_ms, list(settle))
        return await self._call(work, until, lambda answer: give_back(answer[0]))

    async def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take expired records; if this is cancelled they go back, since nobody may ask for them again."""
        work = partial(self._storage.reserve_expired, queue, count, owner, lease_ms)
        return await self._call(work, until, self._returning(owner))

    async def trim(
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
        """Take what is too much; if this is cancelled it goes back, and the next put tells of it again."""
        work = partial(self._storage.trim, queue, max_count, max_bytes, owner, lease_ms, limit)
        return await self._call(work, until, self._returning(owner))

    def _returning(self, owner: str, *, counted: bool = True) -> Callable[[Sequence[Leased]], None]:
        """Make what gives back records that an owner took for nobody, in the threads of now.

        Where that fails, the owner finds them by `held`.
        """
        threads = self._opened()

        def give_back(leased: Sequence[Leased]) -> None:
            if leased:
                with suppress(RuntimeError):  # the threads have ended, and with them what this owner had
                    threads.submit(
                        threads.calls, partial(self._storage.release, _tokens(leased), owner, counted=counted)
                    )

        return give_back

    async def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:  # noqa: D102
        return await self._call(partial(self._storage.settle, list(tokens), owner), until)

    async def release(  # noqa: D102
        self,
        tokens: Sequence[Token],
        owner: str,
        delay_ms: int = 0,
        *,
        counted: bool = True,
        until: float | None = None,
    ) -> Sequence[Token]:
        return await self._call(partial(self._storage.release, list(tokens), owner, delay_ms, counted=counted), until)

    async def forward(  # noqa: D102
        self, token: Token, owner: str, puts: Sequence[Put], guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> bool:
        return await self._call(partial(self._storage.forward, token, owner, list(puts), guards), until)

    async def forward_many(  # noqa: D102
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        return await self._call(partial(self._storage.forward_many, list(moves), owner, guards), until)

    # -------------------------------------------------------------------------------------------- owners

    async def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:  # noqa: D102
        return await self._call(partial(self._storage.renew, owner, lease_ms), until)

    async def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:  # noqa: D102
        return await self._call(partial(self._storage.held, owner), until)

    async def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:  # noqa: D102
        return await self._call(self._storage.dead_owners, until)

    async def forget(  # noqa: D102
        self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None
    ) -> bool:
        return await self._call(partial(self._storage.forget, owner, limit, force=force), until)

    # ---------------------------------------------------------------------------------------------- time

    async def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:  # noqa: D102
        return await self._call(partial(self._storage.sweep, limit), until)

    async def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait in a thread of its own, which ends soon after this is cancelled."""
        threads = self._opened()
        loop = asyncio.get_running_loop()
        hop = Hop(partial(self._storage.wait, list(queues), seconds))
        future = threads.submit(threads.waits, hop.run)
        self._waits[future] = loop
        future.add_done_callback(lambda ended: self._waits.pop(ended, None))
        try:
            return await hop.answered()
        except asyncio.CancelledError:
            self._nudge(future, loop)
            raise

    def wake(self) -> None:
        """End all running waits, from any thread or signal handler."""
        for future, loop in list(self._waits.items()):
            try:
                loop.call_soon_threadsafe(self._nudge, future, loop)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._storage.wake()

    def _nudge(self, future: Future[object], loop: asyncio.AbstractEventLoop) -> None:
        """Wake the store's waits until this one has ended."""
        if not future.done():
            self._storage.wake()
            loop.call_later(NUDGE, self._nudge, future, loop)

    # ---------------------------------------------------------------------------------------- management

    async def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:  # noqa: D102
        return await self._call(partial(self._storage.depth, list(queues)), until)

    async def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:  # noqa: D102
        return await self._call(partial(self._storage.peek, queue, count), until)

    async def purge(self, queue: str, *, until: float | None = None) -> int:  # noqa: D102
        return await self._call(partial(self._storage.purge, queue), until)

    # ----------------------------------------------------------------------------------------- catalogue

    async def read(  # noqa: D102
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        return await self._call(partial(self._storage.read, list(groups), parts), until)

    async def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:  # noqa: D102
        return await self._call(partial(self._storage.revisions, list(groups)), until)

    async def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:  # noqa: D102
        return await self._call(partial(self._storage.groups, prefix), until)

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
        change = partial(self._storage.change, only_empty=only_empty, if_dead=if_dead)
        return await self._call(partial(change, dict(expect), dict(writes), list(drop)), until)


def _tokens(records: Sequence[Leased]) -> list[Token]:
    return [record.token for record in records]
