from __future__ import annotations

import asyncio
import gc
import math
import subprocess
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from time import monotonic

import pytest

from dulse import errors
from dulse.links import keeper_asynchronous as module
from dulse.links.keeper_asynchronous import Keeper
from dulse.links.waiting.aio import Event

LONG = 100.0
"""Seconds: longer than a test may take, so that waiting in vain is a failure."""


class Task:
    """A duty that is due when told so, does what it is told, and says that it ran."""

    def __init__(self, due: float = math.inf, action: Callable[[], Awaitable[object]] | None = None) -> None:
        self.next = due
        self.action = action
        self.asked = 0
        self.ran: asyncio.Queue[float] = asyncio.Queue()

    def due(self) -> float:
        self.asked += 1
        return self.next

    async def run(self) -> None:
        self.next = math.inf
        self.ran.put_nowait(monotonic())
        if self.action is not None:
            await self.action()

    async def has_run(self) -> float:
        return await asyncio.wait_for(self.ran.get(), LONG)

    def __repr__(self) -> str:
        return "<Task>"


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def keeper_tasks() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "dulse-keeper"]


async def test_a_duty_that_is_due_is_run() -> None:
    keeper, task = Keeper(), Task(due=0.0)

    await keeper.add(task)

    await task.has_run()


async def test_a_duty_is_not_run_before_it_is_due() -> None:
    due = monotonic() + 0.05
    keeper, task = Keeper(), Task(due=due)

    await keeper.add(task)

    assert await task.has_run() >= due - 0.001


async def test_a_hint_brings_a_duty_forward() -> None:
    keeper, task = Keeper(), Task(due=monotonic() + 1000)
    await keeper.add(task)
    await turns()

    task.next = 0.0
    keeper.hint(task)

    await task.has_run()


async def test_a_hint_from_another_thread_counts() -> None:
    keeper, task = Keeper(), Task()
    await keeper.add(task)
    await turns()

    task.next = 0.0
    thread = threading.Thread(target=lambda: keeper.hint(task))
    thread.start()

    await task.has_run()
    thread.join()


async def test_a_hint_for_a_duty_that_is_not_served_changes_nothing() -> None:
    keeper = Keeper()

    keeper.hint(Task())

    assert repr(keeper) == "<Keeper 0 duties>"


async def test_a_duty_added_twice_is_served_once() -> None:
    keeper, task = Keeper(), Task(due=0.0)

    await keeper.add(task)
    await keeper.add(task)
    await task.has_run()
    await turns()

    assert task.ran.empty()
    assert repr(keeper) == "<Keeper 1 duties>"


async def test_nobody_is_asked_without_a_reason() -> None:
    keeper, idle = Keeper(), Task()
    await keeper.add(idle)

    await turns(100)

    assert idle.asked == 1


async def test_a_duty_that_waits_holds_up_no_other() -> None:
    keeper, release = Keeper(), Event()
    slow = Task(0.0, lambda: release.wait(LONG))
    quick = Task(due=0.0)
    await keeper.add(slow)
    await slow.has_run()

    await keeper.add(quick)

    await quick.has_run()
    release.set()
    assert await keeper.remove(slow, LONG)


async def test_a_duty_that_is_always_due_and_never_waits_does_not_stop_the_loop() -> None:
    class Greedy(Task):
        async def run(self) -> None:
            self.ran.put_nowait(0.0)

    keeper, greedy = Keeper(), Greedy(due=0.0)
    await keeper.add(greedy)
    await turns(20)

    assert greedy.ran.qsize() <= 20
    assert await keeper.remove(greedy, LONG)


async def test_a_duty_that_raises_is_logged_and_run_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)

    async def fail() -> None:
        bad.next = 0.0
        raise ZeroDivisionError

    keeper, bad = Keeper(), Task(0.0, fail)
    await keeper.add(bad)
    for _ in range(3):
        await bad.has_run()

    assert "<Task> failed in the background" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_broker_that_is_away_takes_a_line_in_the_log_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise errors.make(errors.ConnectionLost, "nobody is there")

    keeper, bad = Keeper(), Task(0.0, fail)
    await keeper.add(bad)
    await bad.has_run()
    await turns(20)

    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "nobody is there" in record.message


async def test_a_duty_that_raises_is_not_run_again_at_once() -> None:
    async def fail() -> None:
        bad.next = 0.0
        raise ZeroDivisionError

    keeper, bad = Keeper(), Task(0.0, fail)
    await keeper.add(bad)
    await bad.has_run()
    await turns(100)

    assert bad.ran.empty()


async def test_a_duty_that_cannot_say_when_it_is_due_is_logged_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)

    class Confused(Task):
        def due(self) -> float:
            if super().due() == 0.0 and self.asked < 3:
                raise ZeroDivisionError
            return self.next

    keeper, confused = Keeper(), Confused(due=0.0)
    await keeper.add(confused)
    await confused.has_run()

    assert caplog.text.count("could not say when it is due") == 2


async def test_a_removed_duty_is_not_run_and_leaves_no_task() -> None:
    keeper, task = Keeper(), Task()
    await keeper.add(task)
    await turns()

    assert await keeper.remove(task)

    task.next = 0.0
    keeper.hint(task)
    await turns()
    assert task.ran.empty()
    assert keeper_tasks() == []
    assert repr(keeper) == "<Keeper 0 duties>"


async def test_a_duty_removed_before_its_first_turn_is_not_run() -> None:
    keeper, task = Keeper(), Task(due=0.0)
    await keeper.add(task)

    assert await keeper.remove(task)

    assert task.ran.empty()


async def test_removing_what_is_not_served_changes_nothing() -> None:
    assert await Keeper().remove(Task())


async def test_removal_waits_for_a_duty_that_is_running() -> None:
    release, ended = Event(), list[str]()

    async def work() -> None:
        await release.wait(LONG)
        ended.append("ended")

    keeper, task = Keeper(), Task(0.0, work)
    await keeper.add(task)
    await task.has_run()

    assert not await keeper.remove(task, 0.01)
    assert ended == []
    release.set()
    assert await keeper.remove(task, LONG)
    assert ended == ["ended"]


async def test_a_duty_may_remove_itself() -> None:
    keeper = Keeper()
    answers: asyncio.Queue[bool] = asyncio.Queue()

    async def leave() -> None:
        answers.put_nowait(await keeper.remove(task, LONG))

    task = Task(0.0, leave)
    await keeper.add(task)

    assert await asyncio.wait_for(answers.get(), LONG)
    await turns()
    assert keeper_tasks() == []


async def test_a_duty_that_nobody_refers_to_is_forgotten_with_its_timer() -> None:
    keeper, task = Keeper(), Task(due=monotonic() + 1000)
    await keeper.add(task)
    await turns()

    del task
    gc.collect()
    await turns()

    assert keeper_tasks() == []


async def test_a_duty_that_nobody_refers_to_is_forgotten_with_its_task() -> None:
    keeper, task = Keeper(), Task(due=0.0)
    await keeper.add(task)
    await task.has_run()
    await turns()
    gone = weakref.ref(task)

    del task
    gc.collect()
    await turns()

    assert gone() is None
    assert keeper_tasks() == []
    assert repr(keeper) == "<Keeper 0 duties>"


async def test_a_duty_keeps_nothing_alive_that_was_current_when_it_was_added() -> None:
    class Request:
        pass

    current: ContextVar[Request] = ContextVar("current")
    request = Request()
    gone = weakref.ref(request)
    token = current.set(request)
    keeper, task = Keeper(), Task()
    await keeper.add(task)

    current.reset(token)
    del request, token
    gc.collect()

    assert gone() is None


def test_the_end_of_a_loop_ends_its_duties() -> None:
    keeper, task = Keeper(), Task()

    async def work() -> None:
        await keeper.add(task)
        await turns()

    asyncio.run(work())
    assert repr(keeper) == "<Keeper 0 duties>"
    asyncio.run(work())

    assert repr(keeper) == "<Keeper 0 duties>"


def test_a_forked_child_begins_without_duties() -> None:
    source = """
import asyncio, math, os
from dulse.links.keeper_asynchronous import keeper
class Task:
    def due(self): return math.inf
    async def run(self): pass
task = Task()
async def main():
    await keeper().add(task)
    child = os.fork()
    if child == 0:
        print(keeper(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(keeper(), flush=True)
asyncio.run(main())
"""
    program = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=50, check=False)

    assert program.stdout == "<Keeper 0 duties>\n<Keeper 1 duties>\n"
