"""Waiting with asyncio: what generated code finds in `dulse.links.waiting.sync` under the same names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from inspect import isawaitable
from types import TracebackType
from typing import Any, TypeVar, TypeVarTuple, Unpack, overload

from dulse.links.keeper_asynchronous import Duty, Keeper, keeper
from dulse.links.waiting.signal_aio import Event, Signal

__all__ = [
    "Duty",
    "Event",
    "Keeper",
    "Lock",
    "Mutex",
    "Signal",
    "Spawned",
    "acquired",
    "carried_through",
    "eagerly",
    "finished",
    "keeper",
    "run_blocking",
    "sleep",
    "spawn",
]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

_logger = logging.getLogger(__name__)

Lock = asyncio.Lock
"""May be held across waits: `async with lock:`. Its holder must not take it again, although the blocking one may."""


async def acquired(lock: asyncio.Lock, seconds: float) -> bool:
    """Take a lock, for its holder to release; False if that took longer than `seconds`."""
    if lock.locked():
        try:
            async with asyncio.timeout(seconds):
                return await lock.acquire()
        except TimeoutError:
            return False
    return await lock.acquire()


class Mutex:
    """Never held across a wait, in either form: `with mutex:`. One thread runs all tasks, so there is nothing to do."""

    __slots__ = ()

    def __enter__(self) -> bool:
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


async def sleep(seconds: float) -> None:
    """Sleep; no time or less only lets other tasks run."""
    await asyncio.sleep(seconds)


def eagerly(call: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    """Give back a call that a constructor cannot wait for, for its owner to await later; the blocking form calls."""
    return call


@overload
async def finished(value: Awaitable[T]) -> T: ...
@overload
async def finished(value: Awaitable[T] | T) -> T: ...
async def finished(value: Awaitable[T] | T) -> T:
    """Give what a callback returned, or what comes of it if it is awaitable."""
    if value is not None and isawaitable(value):  # asking costs 0.5 us, and most callbacks return None
        return await value
    return value


async def carried_through(call: Callable[[], Awaitable[T]]) -> T:
    """Wait for a call that must come to its end: a cancellation takes effect when it has. The call needs a deadline."""
    task = asyncio.ensure_future(call())
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as cancelled:
            cancellation = cancelled
    if cancellation is not None:
        if not task.cancelled() and task.exception() is not None:
            _logger.error("failed after it was cancelled", exc_info=task.exception())
        raise cancellation
    return task.result()


async def run_blocking(
    function: Callable[[Unpack[Arguments]], T], *arguments: *Arguments, executor: Executor | None = None
) -> T:
    """Call what blocks on a thread of `executor` (default: the loop's); a cancelled wait does not end the call."""
    return await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)


class Spawned:
    """Work that goes on beside its starter, in a task; see `spawn`."""

    def __init__(self, call: Callable[[], Coroutine[Any, Any, object]], name: str) -> None:
        self._call = call
        self._ended = Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    def running(self) -> bool:
        """Tell whether it has not ended yet."""
        return not self._ended.is_set()

    async def join(self, seconds: float) -> bool:
        """Wait until it has ended; False if it has not after `seconds`."""
        return await self._ended.wait(seconds)

    async def _run(self) -> None:
        try:
            await self._call()
        except Exception:
            _logger.exception("%s failed in the background", self._task.get_name())
        finally:
            self._ended.set()

    def __repr__(self) -> str:
        return f"<Spawned {self._task.get_name()} {'running' if self.running() else 'ended'}>"


def spawn(call: Callable[[], Coroutine[Any, Any, object]], name: str) -> Spawned:
    """Start something beside this task; an exception of it is logged. What repeats itself is a duty of the keeper."""
    return Spawned(call, name)
