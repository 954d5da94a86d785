from __future__ import annotations

import pytest

from tests.links.rig import run_program

INTERRUPTED_WAITS = {
    "Signal": "Signal().wait(100)",
    "Event": "Event().wait(100)",
    "sleep": "sleep(100)",
    "join": "spawn(lambda: Event().wait(100), 'x').join(100)",
    "remove": "remove_a_duty_that_runs()",
}

PROGRAM = """
import os, signal, sys, threading, time
from dulse.links.waiting.sync import *

class Slow:
    started = Event()
    def due(self): return 0.0
    def run(self): self.started.set(); Event().wait(100)

def remove_a_duty_that_runs():
    slow = Slow()
    keeper().add(slow)
    slow.started.wait(100)
    keeper().remove(slow, 100)

def end(number, frame):
    os.write(1, b"handled")
    raise SystemExit(7)

def send(to):
    # The main thread is blocked once it uses no processor time any more.
    before = -1.0
    while time.process_time() - before > 0.0005:
        before = time.process_time()
        time.sleep(0.1)
    signal.pthread_kill(to, signal.SIGTERM)
    time.sleep(100)

signal.signal(signal.SIGTERM, end)
here = threading.Thread(target=lambda: send({to}), daemon=True)
here.start()
{wait}
os._exit(1)
"""


@pytest.mark.parametrize("wait", INTERRUPTED_WAITS.values(), ids=INTERRUPTED_WAITS)
def test_a_signal_that_the_system_gives_to_another_thread_interrupts_a_wait(wait: str) -> None:
    program = run_program(PROGRAM.format(to="threading.get_ident()", wait=wait))

    assert (program.stdout, program.returncode) == ("handled", 7)


@pytest.mark.parametrize("wait", INTERRUPTED_WAITS.values(), ids=INTERRUPTED_WAITS)
def test_a_signal_interrupts_a_wait_of_the_main_thread(wait: str) -> None:
    program = run_program(PROGRAM.format(to="threading.main_thread().ident", wait=wait))

    assert (program.stdout, program.returncode) == ("handled", 7)


def test_signal_handlers_may_notify_set_and_hint_wherever_they_strike() -> None:
    program = run_program("""
import math, signal
from dulse.links.waiting.sync import *

changed, ready, struck = Signal(longest_sleep=math.inf), Event(), 0

class Duty:
    def due(self): return math.inf
    def run(self): pass

duty = Duty()
keeper().add(duty)

def strike(number, frame):
    global struck
    struck += 1
    changed.notify(); ready.set(); keeper().hint(duty)

signal.signal(signal.SIGALRM, strike)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while struck < 500:
    seen = changed.ticket()
    ready.clear(); changed.notify(); ready.set(); keeper().hint(duty)
    keeper().add(duty)
    assert changed.wait(20, seen) and ready.wait(20)
    assert changed.wait(20)   # only a handler ends this one
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
""")

    assert (program.stdout, program.stderr) == ("done\n", "")
