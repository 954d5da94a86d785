from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dulse.links.waiting.aio import (
    Event,
    Lock,
    Mutex,
    Signal,
    carried_through,
    eagerly,
    finished,
    run_blocking,
    sleep,
    spawn,
)

LONG = 100.0
"""Seconds: longer than a test may take, so that waiting in vain is a failure."""


async def from_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    await asyncio.to_thread(thread.join)


async def parked(changed: Signal, count: int) -> None:
    while len(changed._parked) < count:  # noqa: ASYNC110 - a signal does not tell who waits for it
        await asyncio.sleep(0)


# ---------------------------------------------------------------------------------------------- signals


async def test_a_notification_between_ticket_and_wait_is_not_lost() -> None:
    changed = Signal()
    seen = changed.ticket()
    changed.notify()

    assert await changed.wait(LONG, seen)


async def test_a_notification_before_the_ticket_wakes_nobody() -> None:
    changed = Signal()
    changed.notify()

    assert not await changed.wait(0.01, changed.ticket())
    assert not await changed.wait(0.01)


@pytest.mark.parametrize("seconds", [0.0, -1.0, -math.inf])
async def test_a_wait_without_time_tells_whether_there_was_a_notification(seconds: float) -> None:
    changed = Signal()
    seen = changed.ticket()

    assert not await changed.wait(seconds, seen)
    changed.notify()
    assert await changed.wait(seconds, seen)


async def test_a_wait_without_end_ends_with_a_notification() -> None:
    changed = Signal()
    waiting = asyncio.create_task(changed.wait(math.inf))
    await parked(changed, 1)

    changed.notify()

    assert await waiting


async def test_one_notification_from_another_thread_wakes_all_tasks() -> None:
    changed = Signal()
    waiting = [asyncio.create_task(changed.wait(LONG)) for _ in range(8)]
    await parked(changed, 8)

    await from_thread(changed.notify)

    assert await asyncio.gather(*waiting) == [True] * 8


async def test_no_notification_of_a_thread_is_lost() -> None:
    ball, returned = Signal(), Signal()
    counts = {"thread": 0, "task": 0}
    rounds = 500

    def work() -> None:
        for _ in range(rounds):
            while counts["task"] < counts["thread"]:
                time.sleep(0)
            counts["thread"] += 1
            ball.notify()

    worker = asyncio.create_task(from_thread(work))
    while counts["task"] < rounds:
        seen = ball.ticket()
        if counts["thread"] > counts["task"]:
            counts["task"] += 1
            returned.notify()
        else:
            assert await ball.wait(LONG, seen)

    await worker
    assert counts == {"thread": rounds, "task": rounds}


async def test_tasks_of_several_loops_are_woken() -> None:
    changed = Signal()
    elsewhere: list[bool] = []
    other = asyncio.create_task(from_thread(lambda: elsewhere.append(asyncio.run(changed.wait(LONG)))))
    here = asyncio.create_task(changed.wait(LONG))
    await parked(changed, 2)

    changed.notify()

    assert await here
    await other
    assert elsewhere == [True]


def test_one_who_waited_in_a_loop_that_is_closed_disturbs_nobody() -> None:
    changed = Signal()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(changed.wait(LONG))
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    changed._parked.append(loop.create_future())
    loop.close()

    changed.notify()

    assert repr(changed) == "<Signal that 0 wait for>"


async def test_a_cancelled_wait_leaves_nobody_parked() -> None:
    changed = Signal()
    waiting = asyncio.create_task(changed.wait(LONG))
    await parked(changed, 1)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.cancelled()
    assert repr(changed) == "<Signal that 0 wait for>"


# ------------------------------------------------------------------------------------------------ events


async def test_an_event_is_waited_for_until_a_thread_sets_it() -> None:
    ready = Event()
    waiting = asyncio.create_task(ready.wait(LONG))
    await parked(ready._signal, 1)

    await from_thread(ready.set)

    assert await waiting
    assert ready.is_set()


async def test_an_event_set_at_the_last_moment_is_not_missed() -> None:
    class Late(Signal):
        __slots__ = ()

        def ticket(self) -> object:
            ready.set()  # as another thread may do just before
            return super().ticket()

    ready = Event()
    ready._signal = Late()

    assert await ready.wait(LONG)


async def test_an_event_that_is_set_is_not_waited_for() -> None:
    ready = Event()
    ready.set()

    assert await ready.wait(0)
    assert await ready.wait(-1)


async def test_an_event_that_is_not_set_is_waited_for_in_vain() -> None:
    ready = Event()
    ready.set()
    ready.clear()

    assert not await ready.wait(0.01)
    assert repr(ready) == "<Event not set>"


# ------------------------------------------------------------------------------------------------ others


async def test_a_lock_keeps_other_tasks_out_and_a_mutex_nobody() -> None:
    lock, mutex = Lock(), Mutex()

    async with lock:
        assert lock.locked()
    with mutex, mutex:
        pass


def test_a_mutex_lets_exceptions_through() -> None:
    with pytest.raises(ZeroDivisionError), Mutex():
        raise ZeroDivisionError


async def test_a_sleep_lasts_as_long_as_it_should() -> None:
    begun = time.monotonic()

    await sleep(0.02)

    assert time.monotonic() - begun >= 0.019


async def test_an_eager_call_is_left_to_its_owner() -> None:
    calls: list[str] = []

    async def call() -> None:
        calls.append("awaited")

    pending = eagerly(call)
    assert calls == []
    await pending()
    assert calls == ["awaited"]


async def test_what_a_callback_returned_is_awaited_if_it_can_be() -> None:
    async def answer() -> int:
        return 42

    awaited: int = await finished(answer())
    plain: int = await finished(42)

    assert (awaited, plain) == (42, 42)


async def test_blocking_calls_are_made_on_a_thread_of_the_executor() -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="ours") as executor:
        a, b, name = await run_blocking(lambda a, b: (a, b, threading.current_thread().name), 1, 2, executor=executor)

    assert (a, b) == (1, 2)
    assert name.startswith("ours")


async def test_blocking_calls_leave_the_loop_free() -> None:
    released = threading.Event()
    blocked = asyncio.create_task(run_blocking(released.wait, LONG))
    await asyncio.sleep(0)

    released.set()

    assert await blocked


async def test_spawned_work_goes_on_beside_and_can_be_joined() -> None:
    go, done = Event(), list[str]()

    async def work() -> None:
        await go.wait(LONG)
        done.append("worked")

    spawned = spawn(work, "worker")
    assert spawned.running()
    assert not await spawned.join(0.01)
    assert repr(spawned) == "<Spawned worker running>"
    go.set()

    assert await spawned.join(LONG)
    assert not spawned.running()
    assert done == ["worked"]


async def test_an_exception_of_spawned_work_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        assert await spawn(work, "worker").join(LONG)

    assert "worker failed in the background" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_work_that_is_carried_through_ends_before_a_cancellation_does() -> None:
    done: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.05)
        done.append("work")

    async def caller() -> None:
        await carried_through(work)

    calling = asyncio.create_task(caller())
    await begun.wait()
    for _ in range(2):
        calling.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert done == ["work"]


async def test_work_that_is_carried_through_gives_its_result_and_its_failure() -> None:
    async def failing() -> None:
        raise ValueError("no")

    assert await carried_through(lambda: asyncio.sleep(0, "result")) == "result"
    with pytest.raises(ValueError, match="no"):
        await carried_through(failing)
