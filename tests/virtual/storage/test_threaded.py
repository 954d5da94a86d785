from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from dulse import errors
from dulse.model.message import Record
from dulse.model.records import Leased, Put, Target, Token
from dulse.policy.clocks import SystemClock
from dulse.transports.memory import MemoryStorage, forget_store
from dulse.virtual.threaded import ThreadedStorage

LONG_MS = 600_000
LONG = 600.0


class Gate:
    """Where a thread stops until it is let through."""

    def __init__(self) -> None:
        self._reached = threading.Semaphore(0)
        self._open = threading.Semaphore(0)

    def stop_here(self) -> None:
        self._reached.release()
        assert self._open.acquire(timeout=10)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.acquire, timeout=10)

    def let_through(self) -> None:
        self._open.release()


class GatedStorage(MemoryStorage):
    """A store whose calls of some names stop at a gate before they begin."""

    def __init__(self, *names: str) -> None:
        super().__init__("threaded", SystemClock())
        self.gate = Gate()
        self.names = set(names)
        self.expired = 0
        self.trimmed = 0

    def stop(self, name: str) -> None:
        if name in self.names:
            self.gate.stop_here()

    def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        self.stop("reserve")
        return super().reserve(wants, owner, lease_ms, settle, until=until)

    def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        self.stop("reserve_expired")
        taken = super().reserve_expired(queue, count, owner, lease_ms, until=until)
        self.expired += len(taken)
        return taken

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
        self.stop("trim")
        taken = super().trim(queue, max_count, max_bytes, owner, lease_ms, limit, until=until)
        self.trimmed += len(taken)
        return taken

    def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        self.stop("wait")
        return super().wait(queues, seconds)

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        self.stop("settle")
        return super().settle(tokens, owner, until=until)


earlier: set[threading.Thread] = set()
"""Those that other tests' stores had left when this one began."""


@pytest.fixture(autouse=True)
def _store() -> Iterator[None]:
    earlier.clear()
    earlier.update(storage_threads())
    yield
    forget_store("threaded")
    assert our_threads() == 0


def storage_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("dulse-storage")}


def our_threads() -> int:
    return len(storage_threads() - earlier)


async def opened(*names: str) -> tuple[ThreadedStorage, GatedStorage]:
    beneath = GatedStorage(*names)
    storage = ThreadedStorage(beneath)
    await storage.open(10)
    return storage, beneath


def put(beneath: MemoryStorage, *bodies: bytes, queue: str = "q", **numbers: Any) -> None:
    beneath.put([Put(Record("", "", {}, body), [Target(queue, **numbers)]) for body in bodies])


def first_taken(beneath: MemoryStorage) -> Sequence[Leased]:
    """Take one record for the owner, past the gate."""
    return MemoryStorage.reserve(beneath, [("q", 1)], "owner", LONG_MS)[0]


def bodies(leased: Sequence[Leased]) -> list[bytes]:
    return [record.payload.body for record in leased]


async def cancelled_at(gate: Gate, task: asyncio.Task[Any]) -> None:
    """Cancel a task whose call has come to the gate, and let the call go on."""
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.let_through()


async def has_happened(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it happens in a thread
            await asyncio.sleep(0.001)


async def cancelled_reserve(storage: ThreadedStorage, beneath: GatedStorage, **settle: Any) -> None:
    """Have a reserve of all queues carried out and its result awaited by nobody."""
    task = asyncio.create_task(storage.reserve([("q", 2), ("r", 2)], "owner", LONG_MS, **settle))
    await cancelled_at(beneath.gate, task)
    await has_happened(lambda: not storage._threads or not storage._threads.running)
    await asyncio.sleep(0)
    beneath.names.clear()


async def test_what_a_cancelled_reserve_took_goes_back_at_once_and_uncounted() -> None:
    storage, beneath = await opened("reserve")
    put(beneath, b"1", b"2", b"3")
    await cancelled_reserve(storage, beneath)

    await has_happened(lambda: beneath.depth(["q"])[0][:2] == (3, 0))

    leased, _ = await storage.reserve([("q", 10)], "another", LONG_MS)
    assert bodies(leased) == [b"1", b"2", b"3"]
    assert [record.deliveries for record in leased] == [1, 1, 1]
    await storage.close(10)


async def test_what_could_not_be_given_back_is_held_by_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, beneath = await opened("reserve")
    put(beneath, b"1")
    refused: list[object] = []

    def refuse(tokens: Sequence[Token], *_: object, **__: object) -> None:
        refused.extend(tokens)
        raise errors.make(errors.StorageBusy, "locked")

    monkeypatch.setattr(beneath, "release", refuse)
    await cancelled_reserve(storage, beneath)

    await has_happened(lambda: refused)

    assert await storage.held("owner") == refused
    await storage.close(10)


async def test_close_waits_for_a_cancelled_reserve_and_gives_back_what_it_took() -> None:
    storage, beneath = await opened("reserve")
    put(beneath, b"1")
    task = asyncio.create_task(storage.reserve([("q", 1)], "owner", LONG_MS))
    await beneath.gate.reached()
    task.cancel()
    closing = asyncio.create_task(storage.close(10))
    await asyncio.sleep(0)
    beneath.gate.let_through()
    await closing

    beneath.open(1)
    assert beneath.depth(["q"])[0][:2] == (1, 0)
    beneath.close(1)


async def test_a_cancelled_reserve_has_settled() -> None:
    storage, beneath = await opened("reserve")
    put(beneath, b"1", b"2")
    (first,) = first_taken(beneath)

    await cancelled_reserve(storage, beneath, settle=[first.token])

    await has_happened(lambda: beneath.depth(["q"])[0][:2] == (1, 0))
    await storage.close(10)


async def test_a_call_that_found_no_thread_in_its_time_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, beneath = await opened("settle")
    monkeypatch.setattr("dulse.virtual.threaded.HOP", 0.01)
    busy = [asyncio.create_task(storage.settle([], "owner")) for _ in range(4)]
    for _ in busy:
        await beneath.gate.reached()

    with pytest.raises(errors.StorageBusy, match=r"busy with 4 other calls .* nothing was done"):
        await storage.change({}, {("x/here", "a"): "1"}, until=time.monotonic() + 0.01)

    for _ in busy:
        beneath.gate.let_through()
    await asyncio.gather(*busy)
    assert list(await storage.revisions(["x/here"])) == [0]
    await storage.close(10)


async def test_what_a_cancelled_trim_took_goes_back_at_once() -> None:
    storage, beneath = await opened("trim")
    put(beneath, b"1", b"2", b"3")
    task = asyncio.create_task(storage.trim("q", 1, None, "owner", LONG_MS))
    await cancelled_at(beneath.gate, task)

    await has_happened(lambda: beneath.trimmed == 2 and beneath.depth(["q"])[0][:2] == (3, 0))

    assert [record.deliveries for record in beneath.peek("q", 3)] == [0, 0, 0]
    await storage.close(10)


async def test_what_a_cancelled_reserve_expired_took_goes_back_at_once() -> None:
    storage, beneath = await opened("reserve_expired")
    put(beneath, b"1", ttl_ms=0)
    task = asyncio.create_task(storage.reserve_expired("q", 10, "owner", LONG_MS))
    await cancelled_at(beneath.gate, task)

    await has_happened(lambda: beneath.expired and beneath.depth(["q"])[0][:2] == (1, 0))

    assert beneath.peek("q", 1)[0].deliveries == 0
    await storage.close(10)


async def test_a_cancelled_call_is_carried_out_all_the_same() -> None:
    storage, beneath = await opened("settle")
    put(beneath, b"1")
    (record,) = first_taken(beneath)
    task = asyncio.create_task(storage.settle([record.token], "owner"))
    await cancelled_at(beneath.gate, task)

    await has_happened(lambda: beneath.depth(["q"])[0].leased == 0)

    await storage.close(10)


async def test_a_cancelled_wait_ends_its_thread() -> None:
    storage, _ = await opened()
    task = asyncio.create_task(storage.wait(["q"], LONG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await has_happened(lambda: not storage._waits)

    await storage.close(10)


async def test_wake_ends_a_wait_that_has_not_begun_in_its_thread() -> None:
    storage, beneath = await opened("wait")
    task = asyncio.create_task(storage.wait(["q"], LONG))
    await beneath.gate.reached()

    storage.wake()
    await asyncio.sleep(0)
    beneath.gate.let_through()

    assert await asyncio.wait_for(task, 10) is None
    await storage.close(10)


async def test_waits_do_not_hold_up_other_calls() -> None:
    storage, beneath = await opened()
    waits = [asyncio.create_task(storage.wait([f"queue {number}"], LONG)) for number in range(20)]
    await asyncio.sleep(0)

    await asyncio.wait_for(storage.put([Put(Record("", "", {}, b"1"), [Target("queue 7")])]), 10)

    assert await asyncio.wait_for(waits[7], 10) == ("queue 7",)
    storage.wake()
    await asyncio.gather(*waits)
    await storage.close(10)
    assert beneath._store is not None


async def test_close_ends_waits_and_all_threads() -> None:
    storage, _ = await opened()
    task = asyncio.create_task(storage.wait(["q"], LONG))
    await asyncio.sleep(0)
    assert our_threads() > 0

    await storage.close(10)

    assert our_threads() == 0
    assert await task is None


async def test_a_closed_storage_says_so_and_opens_again() -> None:
    storage, beneath = await opened()
    await storage.close(10)
    await storage.close(10)
    with pytest.raises(errors.ConnectionClosed, match="closed: call open"):
        await storage.depth(["q"])

    await storage.open(10)
    put(beneath, b"1")

    assert (await storage.depth(["q"]))[0].ready == 1
    await storage.close(10)


async def test_close_names_its_deadline_when_a_call_does_not_end() -> None:
    storage, beneath = await opened("settle")
    task = asyncio.create_task(storage.settle([], "owner"))
    await beneath.gate.reached()

    with pytest.raises(errors.DeadlineExceeded, match=r"not closed within 0\.01 s"):
        await storage.close(0.01)

    beneath.gate.let_through()
    await task
    await has_happened(lambda: our_threads() == 0)
    beneath.close(1)


async def test_a_failing_open_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    beneath = GatedStorage()

    def refuse(seconds: float) -> None:
        raise errors.make(errors.StorageBusy, f"locked for {seconds} s")

    monkeypatch.setattr(beneath, "open", refuse)
    storage = ThreadedStorage(beneath)

    with pytest.raises(errors.StorageBusy, match="locked for 3 s"):
        await storage.open(3)

    assert our_threads() == 0


async def test_discard_forgets_the_threads() -> None:
    storage, beneath = await opened()
    await storage.depth(["q"])
    threads = storage._threads
    assert threads is not None

    storage.discard()

    assert repr(storage).endswith("closed>")
    threads.end(wait=True)
    beneath.close(1)
