"""Pools of things that are costly to make: connections, channels, producers, or a program's own."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, ClassVar, Generic, TypeVar

from dulse import errors
from dulse.aio.lifetimes import lifetimes
from dulse.links.waiting.aio import Event, Mutex, eagerly, finished
from dulse.model.mistakes import check_timeout
from dulse.policy.pooling import Actions, Closed, Create, Give, PoolState, Refuse, Waiter

R = TypeVar("R")

DEFAULT_TIMEOUT = 30.0
"""Seconds that a waiting `acquire` takes at most when its caller names none."""


class Resource(ABC, Generic[R]):
    """A pool with a limit; a subclass says in `new` how a member is made.

    What was given back last is given out first, those who wait are served in their order, and there are never more
    members than the limit. With `limit` None or 0 nothing is kept: members are made and closed as they are asked for
    and given back. `preload` members are made with the first one that is asked for. Where calls are awaited, the
    methods to override may be async.

    Any number of threads may use a pool. A forked child finds it empty and usable, and what it inherited is let go of
    without a word to its peer; `close_after_fork` is there for Kombu's users and makes no difference.
    """

    LimitExceeded: ClassVar[type[errors.LimitExceeded]] = errors.LimitExceeded
    """Raised when all members are in use."""
    close_after_fork: bool = True

    def __init__(
        self, limit: int | None = None, preload: int | None = None, close_after_fork: bool | None = None
    ) -> None:
        self._state: PoolState[R] = PoolState(checked_limit(limit), os.getpid())
        self._mutex = Mutex()
        self._overdue: list[Actions[R]] = []
        self.preload = preload or 0
        if close_after_fork is not None:
            self.close_after_fork = close_after_fork
        self.setup()
        lifetimes.forget_after_fork(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._state!r}>"

    # -------------------------------------------------------------------------------------------- hooks

    @abstractmethod
    def new(self) -> R | Awaitable[R]:
        """Make a member."""

    def setup(self) -> None:
        """Prepare a new pool, or one whose limit has changed; nothing by default."""

    def prepare(self, resource: R) -> R | Awaitable[R]:
        """Make a member ready for use and give it; called each time that one is acquired."""
        return resource

    def release_resource(self, resource: R) -> Any:
        """Tidy up a member that is given back."""

    def close_resource(self, resource: Any) -> Any:
        """Close a member that is not needed any more."""
        return resource.close()

    def collect_resource(self, resource: R) -> Any:
        """Let go of a member that was taken away by force, perhaps while it was in use."""
        return self.close_resource(resource)

    def forget_resource(self, resource: R) -> None:
        """Let go of a member that a forked child inherited, without I/O; nothing by default."""

    # ------------------------------------------------------------------------------------------ acquire

    async def acquire(self, block: bool = False, timeout: float | None = None) -> R:
        """Take a member out of the pool, to be given back by its own `release()` or by the pool's.

        With `block`, wait for one at most `timeout` seconds (None: 30). Raises LimitExceeded when there is none, and
        ConnectionClosed when the pool is closed.
        """
        if self.preload or self._overdue:
            await self._catch_up()
            await self._preload()
        check_timeout(timeout, "for 30")
        event = Event()
        waiter: Waiter[R] = Waiter(event.set)
        outcome: Give[R] | Create | Closed | Refuse | None
        with self._mutex:
            outcome = self._state.acquire(waiter if block else None)
        if outcome is None:
            outcome = await self._wait(waiter, event, DEFAULT_TIMEOUT if timeout is None else timeout)
        if isinstance(outcome, Give):
            resource = outcome.resource
        elif isinstance(outcome, Create):
            resource = await self._create()
        elif isinstance(outcome, Closed):
            raise errors.make(errors.ConnectionClosed, f"{self!r} was closed while somebody waited for a member")
        else:
            raise self._refusal()
        return await self._prepare(resource)

    async def _wait(self, waiter: Waiter[R], event: Event, seconds: float) -> Give[R] | Create | Closed | Refuse:
        try:
            await event.wait(seconds)
        except BaseException:
            await self._decline(waiter)
            raise
        with self._mutex:
            outcome = self._state.give_up(waiter)
        return Refuse(self._state.limit or 0) if outcome is None else outcome

    async def _decline(self, waiter: Waiter[R]) -> None:
        """Pass on what somebody was given who does not wait any more."""
        with self._mutex:
            outcome = self._state.give_up(waiter)
            if isinstance(outcome, Give):
                actions = self._state.release(outcome.resource)
            elif isinstance(outcome, Create):
                actions = self._state.failed()
            else:
                return
        await self._act(actions)

    def _refusal(self) -> Exception:
        state = self._state
        text = (
            f"all {state.limit} members of {type(self).__name__} are in use: release some, wait longer, or raise limit"
        )
        return errors.make(self.LimitExceeded, text)

    async def _create(self) -> R:
        try:
            resource: R = await finished(self.new())
        except BaseException:
            with self._mutex:
                actions = self._state.failed()
            await self._act(actions)
            raise
        with self._mutex:
            actions = self._state.created(resource)
        await self._act(actions)
        if actions.close:
            raise errors.make(errors.ConnectionClosed, f"{self!r} was closed while a member was made")
        return resource

    async def _prepare(self, resource: R) -> R:
        try:
            prepared = await finished(self.prepare(resource))
        except BaseException:
            await self.replace(resource)
            raise
        if prepared is not resource:
            await self.replace(resource)
            text = f"{type(self).__name__}.prepare gave another object than it was given: give the same one"
            raise errors.make(errors.InvalidArgument, text)
        # What allows no new attributes is given back by the pool's own release.
        with suppress(AttributeError):
            resource.release = self._releaser(resource)  # type: ignore[attr-defined]
        return resource

    def _releaser(self, resource: R) -> Any:
        async def release() -> None:
            """Give this back to its pool; do not use it afterwards."""
            await self.release(resource)

        return release

    async def _preload(self) -> None:
        with self._mutex:
            count, self.preload = self.preload, 0
        for _ in range(count):
            resource: R = await finished(self.new())
            with self._mutex:
                actions = self._state.stock(resource)
            await self._act(actions)

    # ----------------------------------------------------------------------------------------- give back

    async def release(self, resource: R) -> None:
        """Give a member back. One that is not out (given back twice, or taken away by force) changes nothing."""
        await self._catch_up()
        await finished(self.release_resource(resource))
        with self._mutex:
            actions = self._state.release(resource)
        await self._act(actions)

    async def replace(self, resource: R) -> None:
        """Give a broken member back: it is closed, and its place is free for a new one."""
        with self._mutex:
            actions = self._state.discard(resource)
        await self._act(actions)

    async def _catch_up(self) -> None:
        """Do what followed from assigning the limit, which could not be waited for."""
        while self._overdue:
            await self._act(self._overdue.pop())

    async def _act(self, actions: Actions[R]) -> None:
        for waiter in actions.served:
            waiter.wake()
        await self._close_each(actions.close, self.close_resource)

    async def _close_each(self, resources: Iterable[R], close: Callable[[R], Any]) -> None:
        """Close all, whatever goes wrong with some; the first error is raised in the end."""
        failures: list[Exception] = []
        for resource in resources:
            try:
                await finished(close(resource))
            except Exception as failure:  # noqa: BLE001 - raised below
                failures.append(failure)
        if failures:
            raise failures[0]

    # -------------------------------------------------------------------------------------------- limit

    @property
    def limit(self) -> int | None:
        """How many members there may be; assigning it is `resize(limit, ignore_errors=True)`."""
        return self._state.limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        with self._mutex:
            self._overdue.append(self._state.resize(checked_limit(limit), ignore_errors=True))
        self.setup()
        eagerly(self._catch_up)

    async def resize(
        self, limit: int | None, force: bool = False, ignore_errors: bool = False, reset: bool = False
    ) -> None:
        """Change the limit, and open a closed pool again.

        Fewer places than members in use raise InvalidArgument, unless `ignore_errors`: then what is too many is
        closed as it comes back; or `force`: then all members are closed at once, in use or not. `reset` closes them
        in any case.
        """
        with self._mutex:
            actions = self._state.resize(checked_limit(limit), force=force, ignore_errors=ignore_errors, reset=reset)
        await self._act(actions)
        self.setup()

    async def force_close_all(self, close_pool: bool = True) -> None:
        """Close all members, also those in use; unless `close_pool` is False, the pool as well."""
        with self._mutex:
            actions = self._state.close()
            if not close_pool:
                self._state.resize(self._state.limit)
        for waiter in actions.served:
            waiter.wake()
        await self._close_each(actions.close, self.collect_resource)

    def after_fork(self) -> None:
        """Be empty, in a forked child; called before anything else runs there."""
        self._mutex = Mutex()
        self._overdue.clear()
        for resource in self._state.adopt(os.getpid()):
            self.forget_resource(resource)


def checked_limit(limit: int | None) -> int | None:
    """Give a limit back if it is one."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise errors.make(errors.InvalidArgument, f"limit is {limit!r}: give a number of members, or None for no limit")
    return limit
