"""What the tests of waiting and of the keeper share."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from queue import Queue
from time import monotonic

from dulse.links.keeper import Keeper

LONG = 100.0
"""Seconds: longer than a test may take, so that waiting in vain is a failure."""


class Task:
    """A duty that is due when told so, does what it is told, and says that it ran."""

    def __init__(self, due: float = math.inf, action: Callable[[], object] | None = None) -> None:
        self.next = due
        self.action = action
        self.asked = 0
        self.ran: Queue[float] = Queue()

    def due(self) -> float:
        self.asked += 1
        return self.next

    def run(self) -> None:
        self.next = math.inf
        self.ran.put(monotonic())
        if self.action is not None:
            self.action()

    def __repr__(self) -> str:
        return "<Task>"


def settle(keeper: Keeper) -> None:
    """Wait until the keeper has done everything it was told so far."""
    marker = Task(due=0.0)
    keeper.add(marker)
    marker.ran.get(timeout=LONG)
    assert keeper.remove(marker, LONG)


def run_program(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=50, check=False)
