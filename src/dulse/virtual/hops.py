"""Work in another thread whose result is never lost: awaited, or given to somebody else if the await was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

Result = TypeVar("Result")

WAITS: Final = 1000
"""Threads for waiting, at most."""


class Hop(Generic[Result]):
    """One call: `run` does it in some thread, `answered` awaits it in the loop that made this object.

    `late` is given the result if the await is cancelled, or the loop closed; it must not wait.
    """

    __slots__ = ("_answer", "_late", "_loop", "_work")

    def __init__(self, work: Callable[[], Result], late: Callable[[Result], object] | None = None) -> None:
        self._work = work
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Result] = self._loop.create_future()

    def run(self) -> None:
        """Do the work, and have the loop deliver what comes of it."""
        try:
            result = self._work()
        except BaseException as failure:  # noqa: BLE001 - it is raised where the call is awaited
            self._call_soon(self.fail, failure)
            return
        if not self._call_soon(self._deliver, result):
            self._is_late(result)

    def _call_soon(self, callback: Callable[..., object], argument: object) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def fail(self, failure: BaseException) -> None:
        """Raise this where the call is awaited; in the loop's thread."""
        if not self._answer.done():
            self._answer.set_exception(failure)

    def _deliver(self, result: Result) -> None:
        if self._answer.cancelled():
            self._is_late(result)
        else:
            self._answer.set_result(result)

    def _is_late(self, result: Result) -> None:
        if self._late is not None:
            self._late(result)

    async def answered(self) -> Result:
        """Wait for the result; a cancellation leaves the work going on."""
        answer = self._answer
        try:
            return await answer
        except asyncio.CancelledError:
            # Cancelled in the very turn of the loop in which the result arrived.
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._is_late(answer.result())
            raise


class Threads:
    """The threads for the calls of one store, and others for its waits; `running` is what they do."""

    def __init__(self, number: int) -> None:
        self.calls = ThreadPoolExecutor(number, "dulse-storage")
        self.waits = ThreadPoolExecutor(WAITS, "dulse-storage-wait")
        self.running: set[Future[object]] = set()

    def submit(self, pool: ThreadPoolExecutor, work: Callable[[], object]) -> Future[object]:
        """Have something done, by one of the two pools."""
        future = pool.submit(work)
        self.running.add(future)
        future.add_done_callback(self.running.discard)
        return future

    async def settled(self) -> None:
        """Wait until nothing runs any more."""
        while running := list(self.running):
            await asyncio.wait([asyncio.wrap_future(future) for future in running])

    def end(self, *, wait: bool) -> None:
        """Let the threads end when their work is done, and `wait` for that."""
        self.calls.shutdown(wait=wait)
        self.waits.shutdown(wait=wait)
