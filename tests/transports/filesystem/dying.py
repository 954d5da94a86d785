"""Run the steps in ever new processes, and kill the n-th with SIGKILL as it begins its n-th change of the disk.

Started with a folder: leaves the broker of each run there, and prints which ended how far.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from dulse.transports.filesystem import records
from tests.faults.brokers import die_at_statement
from tests.transports.filesystem.steps import Run

FINISHED = 77


def run_until(path: Path, changes: int, progress: int) -> None:
    """Run the steps in this process, killed at that change; writes a byte after each step."""
    really_write = os.write
    vars(records)["MOST_NAMES"] = 3  # so that a batch of four records goes to two files
    die_at_statement("filesystem", changes)
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
