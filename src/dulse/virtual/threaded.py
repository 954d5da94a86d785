"""The asyncio form of any blocking store: a few threads, one hop a call, and nothing lost when a call is cancelled.

A call whose `await` is cancelled is carried out all the same, in its thread. What a cancelled `reserve` took is kept
and handed out by the next one of the same owner.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from dulse import errors
from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Peeked, Problem, Put, Revision, Swept, Token
from dulse.virtual.storage import Storage

Result = TypeVar("Result")

THREADS: Final = 4
WAITS: Final = 1000
"""Waits at once, each in a thread of its own; threads are made when they are needed."""

NUDGE: Final = 0.05
"""Seconds until a wait that has not ended is woken again: it may not have begun when it was woken first."""


class _Threads:
    """The threads of an open storage, and what runs in them."""

    def __init__(self, number: int) -> None:
        self.calls = ThreadPoolExecutor(number, "dulse-storage")
        self.waits = ThreadPoolExecutor(WAITS, "dulse-storage-wait")
        self.running: set[Future[None]] = set()

    def submit(self, pool: ThreadPoolExecutor, job: Callable[[], None]) -> Future[None]:
        """Have a job done; it is among `running` until then."""
        future = pool.submit(job)
        self.running.add(future)
        future.add_done_callback(self.running.discard)
        return future

    def join(self) -> None:
        """Wait until all threads have ended."""
        self.calls.shutdown()
        self.waits.shutdown()


class ThreadedStorage:
    """AsyncStorage over a blocking Storage. Use it from one loop at a time."""

    def __init__(self, storage: Storage, threads: int = THREADS) -> None:
        self._storage = storage
        self._number = threads
        self._threads: _Threads | None = None
        self._waits: dict[Future[None], asyncio.AbstractEventLoop] = {}
        self._mutex = threading.Lock()
        self._kept: dict[str, list[Leased]] = {}
        self._lost: dict[str, list[Token]] = {}

    def __repr__(self) -> str:
        return f"<ThreadedStorage over {self._storage!r}: {sum(map(len, self._kept.values()))} kept>"

    @property
    def capabilities(self) -> Capabilities:
        """What the store can do."""
        return self._storage.capabilities
