from __future__ import annotations

import signal
import threading
from queue import Queue

import pytest

from dulse.links import keeper as module
from dulse.links.keeper import Keeper
from tests.links.rig import LONG, Task, run_program


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")
def test_the_thread_leaves_signals_to_the_others(keeper: Keeper) -> None:
    masks: Queue[set[signal.Signals | int]] = Queue()
    task = Task(0.0, lambda: masks.put(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    keeper.add(task)

    assert {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD} <= masks.get(timeout=LONG)
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")
def test_a_greenlet_in_the_place_of_the_thread_leaves_the_signals_as_they_are() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])

    module._block_signals(threading.get_native_id())

    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


# ------------------------------------------------------------------------------------------------- processes

TASK = """
import gc, math, os, sys, threading, time
from queue import Queue
from dulse.links.keeper import keeper

class Task:
    def __init__(self, due=0.0): self.next = due; self.ran = Queue()
    def due(self): return self.next
    def run(self): self.next = math.inf; self.ran.put(threading.current_thread())
"""


def test_a_forked_child_begins_without_duties_and_has_a_thread_of_its_own() -> None:
    program = run_program(
        TASK
        + """
mine = Task(); keeper().add(mine); mine.ran.get(timeout=20)
child = os.fork()
if child == 0:
    assert repr(keeper()) == "<Keeper without a thread, 0 duties>", keeper()
    assert keeper().remove(mine)
    own = Task(); keeper().add(own); own.ran.get(timeout=20)
    assert mine.ran.empty()
    os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
mine.next = 0.0; keeper().hint(mine); mine.ran.get(timeout=20)
print("parent goes on")
"""
    )

    assert program.stdout == "parent goes on\n"


def test_a_child_forked_while_another_thread_holds_the_lock_is_not_held_up() -> None:
    program = run_program(
        TASK
        + """
held, release = threading.Event(), threading.Event()
def hold():
    with keeper()._mutex:
        held.set(); release.wait(20)
threading.Thread(target=hold, daemon=True).start(); held.wait(20)
child = os.fork()
if child == 0:
    own = Task(); keeper().add(own); own.ran.get(timeout=20)
    os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
release.set()
"""
    )

    assert program.stdout == "3\n"


def test_the_thread_does_not_keep_a_program_from_ending() -> None:
    program = run_program(
        TASK
        + """
tasks = [Task(), Task(math.inf), Task(time.monotonic() + 1000)]
for task in tasks: keeper().add(task)
tasks[0].ran.get(timeout=20)
"""
    )

    assert (program.returncode, program.stderr) == (0, "")


def test_what_runs_at_the_end_of_a_program_finds_the_keeper_at_work() -> None:
    program = run_program(
        TASK
        + """
import atexit
late = Task(math.inf); keeper().add(late)
def at_the_end():
    late.next = 0.0; keeper().hint(late); late.ran.get(timeout=20); print("served")
atexit.register(at_the_end)
"""
    )

    assert program.stdout == "served\n"
