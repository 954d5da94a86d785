"""Run the steps in ever new processes, and kill the n-th with SIGKILL as it begins its n-th change of the disk.

Started with a folder: leaves the broker of each run there, and prints which ended how far.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.transports.filesystem.steps import Run

FINISHED = 77

CHANGES = ["open", "mkdir", "rename", "link", "unlink", "rmdir", "write", "pwrite", "ftruncate", "utime"]
"""The system calls that change something, of those that the store uses (a file is made by opening it)."""


def run_until(path: Path, changes: int, progress: int) -> None:
    """Run the steps in this process, killed at that change; writes a byte after each step."""
    left = changes
    really_write = os.write

    def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return called

    for name in CHANGES:
        setattr(os, name, mortal(getattr(os, name)))
    for step in Run(path).steps():
        step()
        really_write(progress, b".")
    os._exit(FINISHED)


def main(folder: Path) -> None:
    """Kill one run at each change, until one is not killed."""
    for changes in range(1, 10_000):
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            run_until(folder / str(changes), changes, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as progress:
            steps = len(progress.read())
        _, status = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        finished = os.WIFEXITED(status) and os.WEXITSTATUS(status) == FINISHED
        if not killed and not finished:
            raise SystemExit(f"the run to be killed at change {changes} ended by itself: status {status}")
        sys.stdout.write(json.dumps([changes, steps, killed]) + "\n")
        sys.stdout.flush()
        if finished:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
