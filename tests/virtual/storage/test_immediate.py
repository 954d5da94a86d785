from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dulse.model.message import Record
from dulse.model.records import Put, Target
from dulse.policy.clocks import Clock, SystemClock, VirtualClock
from dulse.transports.memory import MemoryStorage, forget_store
from dulse.virtual.immediate import ImmediateStorage

LONG = 600.0
ONE = [Put(Record("", "", {}, b"1"), [Target("q")])]


@pytest.fixture(autouse=True)
def _store() -> Iterator[None]:
    yield
    forget_store("immediate")


def opened(clock: Clock | None = None) -> tuple[ImmediateStorage, MemoryStorage]:
    """Give the asyncio form of a store, and the blocking form beneath."""
    beneath = MemoryStorage("immediate", clock or SystemClock())
    beneath.open(1)
    return ImmediateStorage(beneath), beneath


async def begun(storage: ImmediateStorage, seconds: float = LONG) -> asyncio.Task[object]:
    """Begin to wait for "q"."""
    task: asyncio.Task[object] = asyncio.create_task(storage.wait(["q"], seconds))
    await asyncio.sleep(0)
    return task


async def test_no_thread_is_started() -> None:
    storage, _ = opened()
    before = set(threading.enumerate())
    task = await begun(storage)
    await storage.put(ONE)
    await task

    assert set(threading.enumerate()) <= before


async def test_a_put_in_the_same_loop_ends_a_wait() -> None:
    storage, _ = opened()
    task = await begun(storage)

    await storage.put(ONE)

    assert await task == ("q",)


async def test_a_put_in_another_thread_ends_a_wait() -> None:
    asyncio.get_running_loop().set_debug(True)  # it then refuses to be touched from another thread
    storage, beneath = opened()
    task = await begun(storage)
    with ThreadPoolExecutor() as pool:
        pool.submit(beneath.put, ONE).result(10)

    assert await asyncio.wait_for(task, 10) == ("q",)


async def test_a_wait_that_has_ended_leaves_no_timer() -> None:
    storage, _ = opened()
    task = await begun(storage)
    await storage.put(ONE)
    await task

    loop: Any = asyncio.get_running_loop()
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []


async def test_a_wait_ends_when_its_real_time_is_over() -> None:
    storage, _ = opened(VirtualClock())

    assert await storage.wait(["q"], 0.01) == ()


async def test_a_wait_ends_when_its_time_on_the_stores_clock_is_over() -> None:
    clock = VirtualClock()
    storage, _ = opened(clock)
    task = await begun(storage)
    clock.advance(LONG / 2)
    await asyncio.sleep(0)
    assert not task.done()

    clock.advance(LONG / 2)

    assert await task == ()


async def test_an_endless_wait_is_one_that_ends_with_a_put() -> None:
    storage, _ = opened()
    task = await begun(storage, float("inf"))

    await storage.put(ONE)

    assert await task == ("q",)


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    storage, beneath = opened()
    task = await begun(storage)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert not beneath._store.waiters.by_queue
    assert not beneath._waiting
    assert not storage._waits


async def test_several_queues_that_changed_in_one_turn_are_named_together() -> None:
    storage, _ = opened()
    task = asyncio.create_task(storage.wait(["a", "b", "c"], LONG))
    await asyncio.sleep(0)

    await storage.put([Put(ONE[0].payload, [Target("c"), Target("a"), Target("a")])])

    assert await task == ("c", "a")


async def test_wake_from_a_signal_handler_ends_a_wait_of_a_sleeping_loop() -> None:
    storage, _ = opened()
    task = await begun(storage)
    before = signal.signal(signal.SIGALRM, lambda *_: storage.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)

        assert await asyncio.wait_for(task, 10) is None
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("same_thread", [True, False])
def test_a_put_after_the_end_of_the_loop_disturbs_nobody(*, same_thread: bool) -> None:
    storage, beneath = opened()
    loop = asyncio.new_event_loop()
    task = loop.create_task(storage.wait(["q"], LONG))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert beneath._store.waiters.by_queue

    if same_thread:
        beneath.put(ONE)
    else:
        with ThreadPoolExecutor() as pool:
            pool.submit(beneath.put, ONE).result()
    storage.wake()

    assert beneath.depth(["q"])[0].ready == 1
    coroutine = task.get_coro()
    assert coroutine is not None
    coroutine.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
