"""Run the steps in ever new processes, and kill the n-th with SIGKILL as it begins its n-th statement.

Started with a folder: leaves the file of each run there, and prints which ended how far.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tests.transports.sqlite.steps import Run

FINISHED = 77


def run_until(path: Path, statements: int, progress: int) -> None:
    """Run the steps in this process, killed at that statement; writes a byte after each step."""
    left = statements

    def count(_statement: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    class Traced(sqlite3.Connection):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.set_trace_callback(count)

    setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Traced))  # noqa: B010 - its type is overloaded
    for step in Run(path).steps():
        step()
        os.write(progress, b".")
    os._exit(FINISHED)


def main(folder: Path) -> None:
    """Kill one run at each statement, until one is not killed."""
    for statements in range(1, 10_000):
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            run_until(folder / f"{statements}.sqlite", statements, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as progress:
            steps = len(progress.read())
        _, status = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        finished = os.WIFEXITED(status) and os.WEXITSTATUS(status) == FINISHED
        if not killed and not finished:
            raise SystemExit(f"the run to be killed at statement {statements} ended by itself: status {status}")
        sys.stdout.write(json.dumps([statements, steps, killed]) + "\n")
        sys.stdout.flush()
        if finished:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
