"""Waiting with threads: the blocking counterpart of `dulse.links.waiting.aio`, name for name.

Every wait can be interrupted: on the main thread a signal's handler runs within a second, whichever thread the system
gave the signal to, and an exception from the handler ends the wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

from dulse.links.keeper import Duty, Keeper, keeper
from dulse.links.waiting.signal_sync import Event, Signal

if TYPE_CHECKING:  # the blocking form never uses it
    from concurrent.futures import Executor

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

_SLICE = 0.5
"""Seconds after which a sleeper looks whether a signal came that the system gave to another thread (PEP 475)."""

Lock = threading.RLock
"""May be held across waits: `with lock:`. Its holder may take it again."""

Mutex = threading.RLock
"""Never held across a wait, in either form: `with mutex:`. Its holder may take it again."""


def acquired(lock: threading.RLock, seconds: float) -> bool:
    """Take a lock, for its holder to release; False if that took longer than `seconds`."""
    if lock.acquire(blocking=False):
        return True
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if lock.acquire(timeout=min(left, _SLICE)):
            return True
    return False


def sleep(seconds: float) -> None:
    """Sleep; no time or less returns at once."""
    deadline = time.monotonic() + seconds
    left = seconds
    while left > 0:
        time.sleep(min(left, _SLICE))
        left = deadline - time.monotonic()


def eagerly(call: Callable[[], object]) -> None:
    """Make a call that a constructor cannot wait for in the asyncio form: here, at once."""
    call()


def finished(value: T) -> T:
    """Give what a callback returned: in the asyncio form it may be awaitable."""
    return value


def carried_through(call: Callable[[], T]) -> T:
    """Call what must come to its end: in the asyncio form a cancellation does not cut it short."""
    return call()


def run_blocking(
    function: Callable[[Unpack[Arguments]], T],
    *arguments: *Arguments,
    executor: Executor | None = None,  # noqa: ARG001 - the asyncio form needs it
) -> T:
    """Call what blocks; the asyncio form does it on a thread of `executor`."""
    return function(*arguments)


class Spawned:
    """Work that goes on beside its starter, in a daemon thread; see `spawn`."""

    def __init__(self, call: Callable[[], object], name: str) -> None:
        self._call = call
        self._ended = Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def running(self) -> bool:
        """Tell whether it has not ended yet."""
        return not self._ended.is_set()

    def join(self, seconds: float) -> bool:
        """Wait until it has ended; False if it has not after `seconds`."""
        return self._ended.wait(seconds)

    def _run(self) -> None:
        try:
            self._call()
        except Exception:
            _logger.exception("%s failed in the background", self._thread.name)
        finally:
            self._ended.set()

    def __repr__(self) -> str:
        return f"<Spawned {self._thread.name} {'running' if self.running() else 'ended'}>"


def spawn(call: Callable[[], object], name: str) -> Spawned:
    """Start something beside this thread; an exception of it is logged. What repeats itself is a duty of the keeper."""
    return Spawned(call, name)
