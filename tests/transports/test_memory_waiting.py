"""How the memory store deals with time, with those who wait, and with what interrupts it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dulse.policy.clocks import VirtualClock
from tests.transports.memory_words import LONG, bodies, opened, put, take

# ----------------------------------------------------------------------------------------------- time


def test_a_jump_of_the_clock_ends_a_wait_whose_time_is_over() -> None:
    clock = VirtualClock()
    storage = opened(clock=clock)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(storage.wait, ["q"], LONG)
        while not clock._callbacks:
            assert not waiting.done()
        clock.advance(LONG)

        assert waiting.result(10) == ()


def test_a_jump_of_the_clock_does_not_end_a_wait_too_early() -> None:
    clock = VirtualClock()
    storage = opened(clock=clock)
    heard: list[object] = []
    disarm = storage.arm(["q"], LONG, heard.append)

    clock.advance(LONG - 1)
    assert heard == []
    clock.advance(1)

    assert heard == [()]
    disarm()


def test_a_jump_of_the_clock_while_a_wait_begins_is_not_missed() -> None:
    class Jumping(VirtualClock):
        def on_advance(self, callback: Callable[[], object]) -> Callable[[], None]:
            self.advance(LONG)
            return super().on_advance(callback)

    storage = opened(clock=Jumping())
    heard: list[object] = []
    storage.arm(["q"], LONG, heard.append)

    assert heard == [()]


def test_a_queue_that_holds_no_record_is_not_looked_at_by_sweep() -> None:
    storage = opened()
    put(storage, b"1", ttl_ms=60_000)
    storage.sweep()
    assert list(storage._store.timed) == [storage._store.queues["q"]]
    storage.settle([record.token for record in take(storage)], "owner")

    storage.sweep()

    assert storage._store.timed == {}


def test_a_wait_leaves_nothing_behind() -> None:
    clock = VirtualClock()
    storage = opened(clock=clock)

    storage.wait(["q", "r"], 0)

    assert not clock._callbacks
    assert not storage._store.waiters.by_queue
    assert not storage._waiting


def test_a_wait_ends_in_real_time_though_its_clock_stands_still() -> None:
    assert opened(clock=VirtualClock()).wait(["q"], 0.001) == ()


@pytest.mark.parametrize("steps", [(0.1, 0.2), (0.3, 0.3, 0.3, 0.1), (0.07,) * 10, (1e6, 0.29)])
def test_ages_are_exact_to_the_millisecond_on_a_virtual_clock(steps: tuple[float, ...]) -> None:
    clock = VirtualClock()
    storage = opened(clock=clock)
    clock.advance(0.1)
    put(storage, b"1", ttl_ms=round(sum(steps) * 1000))
    for step in steps:
        clock.advance(step)

    assert storage.sweep().expired == ["q"]
    assert storage.peek("q", 1)[0].age_ms == round(sum(steps) * 1000)
    assert [record.age_ms for record in storage.reserve_expired("q", 1, "owner", 1000)] == [round(sum(steps) * 1000)]


def test_a_record_lives_until_its_last_millisecond_is_over() -> None:
    clock = VirtualClock()
    storage = opened(clock=clock)
    put(storage, b"1", ttl_ms=1000)
    clock.advance(0.999)
    assert storage.sweep().expired == []
    assert storage.reserve_expired("q", 1, "owner", 1000) == []

    clock.advance(0.001)

    assert storage.sweep().expired == ["q"]


def test_a_record_behind_one_that_lives_longer_expires_when_it_gets_to_the_head() -> None:
    clock = VirtualClock()
    storage = opened(clock=clock)
    put(storage, b"1")
    put(storage, b"2", ttl_ms=1)
    clock.advance(1)
    assert storage.sweep().expired == []

    take(storage, 1)

    assert storage.sweep().expired == ["q"]


def test_a_released_record_can_expire() -> None:
    clock = VirtualClock()
    storage = opened(clock=clock)
    put(storage, b"1", ttl_ms=1000)
    held = take(storage)
    assert storage.sweep() == ([], [], None)

    storage.release([held[0].token], "owner")
    clock.advance(1)

    assert storage.sweep().expired == ["q"]


# -------------------------------------------------------------------------------------------- waiting


def test_only_those_are_told_whose_queue_got_a_record() -> None:
    storage = opened()
    heard: dict[str, list[object]] = {"q": [], "r": []}
    for name, list_of in heard.items():
        storage.arm([name], LONG, list_of.append)

    put(storage, b"1")

    assert heard == {"q": [("q",)], "r": []}


def test_all_who_wait_for_a_queue_are_told() -> None:
    storage, other = opened(), opened()
    heard: list[object] = []
    storage.arm(["q"], LONG, heard.append)
    other.arm(["q"], LONG, heard.append)

    put(storage, b"1")

    assert heard == [("q",), ("q",)]


def test_whoever_waits_is_told_once_of_a_queue_however_many_records_it_gets() -> None:
    storage = opened()
    heard: list[object] = []
    storage.arm(["q", "r"], LONG, heard.append)

    put(storage, b"1", b"2", b"3")
    put(storage, b"4", queue="r")

    assert heard == [("q",), ("r",)]


def test_whoever_is_disarmed_is_told_nothing_more() -> None:
    storage = opened()
    heard: list[object] = []
    disarm = storage.arm(["q", "r"], LONG, heard.append)
    put(storage, b"1")
    disarm()
    disarm()

    put(storage, b"2", queue="r")
    storage.wake()

    assert heard == [("q",)]


def test_records_that_are_ready_already_are_told_at_once() -> None:
    storage = opened()
    put(storage, b"1")
    heard: list[object] = []

    storage.arm(["r", "q"], LONG, heard.append)

    assert heard == [["q"]]


def test_a_dropped_queue_is_told() -> None:
    storage = opened()
    put(storage, b"1")
    take(storage)
    heard: list[object] = []
    storage.arm(["q"], LONG, heard.append)

    storage.change({}, {}, ["q"])

    assert heard == [("q",)]


def test_wake_ends_the_waits_of_its_own_storage_only() -> None:
    storage, other = opened(), opened()
    heard: dict[str, list[object]] = {"mine": [], "theirs": []}
    storage.arm(["q"], LONG, heard["mine"].append)
    other.arm(["q"], LONG, heard["theirs"].append)

    storage.wake()

    assert heard == {"mine": [None], "theirs": []}


# --------------------------------------------------------------------------------- what interrupts us


def test_a_signal_handler_may_put_while_a_put_is_under_way() -> None:
    storage = opened()
    before = signal.signal(signal.SIGUSR1, lambda *_: put(storage, b"of the handler"))
    try:
        with storage._store.lock:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert bodies(take(storage)) == [b"of the handler"]


def test_a_put_inside_a_put_keeps_both() -> None:
    class Interrupting(VirtualClock):
        interrupt: Callable[[], object] | None = None

        def monotonic(self) -> float:
            interrupt, self.interrupt = self.interrupt, None
            if interrupt is not None:
                interrupt()
            return super().monotonic()

    clock = Interrupting()
    storage = opened(clock=clock)
    clock.interrupt = lambda: put(storage, b"inner")

    put(storage, b"outer")

    assert sorted(bodies(take(storage))) == [b"inner", b"outer"]


def test_another_thread_waits_until_the_store_is_unlocked() -> None:
    storage = opened()
    with ThreadPoolExecutor() as pool:
        with storage._store.lock:
            putting = pool.submit(put, storage, b"1")
            assert storage.depth(["q"])[0].ready == 0
        putting.result(10)

    assert storage.depth(["q"])[0].ready == 1


FORKED = """
import os, sys, threading
from dulse.model.message import Record
from dulse.model.records import Put, Target
from dulse.policy.clocks import SystemClock
from dulse.transports.memory import MemoryStorage

def opened():
    storage = MemoryStorage("a", SystemClock())
    storage.open(1)
    return storage

def put(storage, body):
    storage.put([Put(Record("", "", {}, body), [Target("q")])])

def bodies(storage):
    return [record.payload.body for record in storage.reserve([("q", 10)], "owner", 1000)[0]]

parent = opened()
put(parent, b"of the parent")
held, done = threading.Event(), threading.Event()

def hold():
    with parent._store.lock:
        held.set()
        done.wait(30)

thread = threading.Thread(target=hold)
thread.start()
held.wait(30)
child = os.fork()
if child == 0:
    try:
        before = bodies(parent)
        parent.discard()
        mine = opened()
        put(mine, b"of the child")
        os._exit(0 if (before, bodies(mine)) == ([], [b"of the child"]) else 1)
    except BaseException as failure:
        print(repr(failure), file=sys.stderr)
        os._exit(2)
done.set()
thread.join()
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), bodies(parent))
"""


def test_a_forked_child_begins_empty_and_unlocked_and_the_parent_keeps_all() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=50, check=False)

    assert (ran.stdout, ran.returncode) == ("0 [b'of the parent']\n", 0), ran.stderr
