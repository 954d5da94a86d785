from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from dulse.virtual.hops import Hop, Threads


async def awaited(hop: Hop[str]) -> asyncio.Task[str]:
    """Start to await a hop."""
    task = asyncio.create_task(hop.answered())
    await asyncio.sleep(0)
    return task


async def test_the_result_arrives_in_the_loop() -> None:
    threads = Threads(1)
    hop = Hop(lambda: threading.current_thread().name)
    threads.submit(threads.calls, hop.run)

    assert (await hop.answered()).startswith("dulse-storage")

    threads.end(wait=True)


async def test_a_failure_is_raised_where_the_call_is_awaited() -> None:
    def fail() -> str:
        raise KeyError("gone")

    hop = Hop(fail)
    task = await awaited(hop)
    hop.run()

    with pytest.raises(KeyError, match="gone"):
        await task


async def test_the_result_of_a_cancelled_call_is_handed_on() -> None:
    late: list[str] = []
    hop = Hop(lambda: "result", late.append)
    task = await awaited(hop)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    hop.run()
    await asyncio.sleep(0)

    assert late == ["result"]


async def test_the_failure_of_a_cancelled_call_is_dropped() -> None:
    def fail() -> str:
        raise KeyError("gone")

    late: list[str] = []
    hop = Hop(fail, late.append)
    task = await awaited(hop)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    hop.run()
    await asyncio.sleep(0)

    assert late == []


async def test_a_result_that_arrives_in_the_turn_of_the_cancellation_is_handed_on() -> None:
    late: list[str] = []
    hop = Hop(lambda: "result", late.append)
    task = await awaited(hop)

    hop.run()
    asyncio.get_running_loop().call_soon(task.cancel)

    with pytest.raises(asyncio.CancelledError):
        await task
    assert late == ["result"]


async def test_a_result_that_was_awaited_is_handed_to_nobody_else() -> None:
    late: list[str] = []
    hop = Hop(lambda: "result", late.append)
    task = await awaited(hop)
    hop.run()

    assert await task == "result"
    assert late == []


def test_a_result_that_comes_after_the_end_of_the_loop_is_handed_on() -> None:
    late: list[str] = []

    async def begin() -> Hop[str]:
        return Hop(lambda: "result", late.append)

    hop = asyncio.run(begin())
    hop.run()

    assert late == ["result"]


async def test_settled_waits_for_all_that_runs_and_for_what_that_starts() -> None:
    threads = Threads(1)
    done: list[int] = []
    gate = threading.Event()

    def first() -> None:
        gate.wait(10)
        threads.submit(threads.calls, partial(done.append, 2))
        done.append(1)

    threads.submit(threads.calls, first)
    settled = asyncio.create_task(threads.settled())
    await asyncio.sleep(0)
    gate.set()
    await settled

    assert sorted(done) == [1, 2]
    threads.end(wait=True)
