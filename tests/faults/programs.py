"""Processes that a test starts, hears, stops and kills; each runs one function of a module of tests."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from importlib import import_module
from typing import IO, Any, cast

PATIENCE = 60.0

END = object()


class Program:
    """`python -m tests.faults.programs module function JSON`: hears the lines of JSON that it says."""

    def __init__(self, function: Callable[..., object], *arguments: Any) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.faults.programs"),
                *(function.__module__, function.__name__, json.dumps(arguments)),
            ],
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in cast("IO[str]", self.process.stdout):
            self._said.put(json.loads(line))
        self._said.put(END)

    def hear(self, seconds: float = PATIENCE) -> Any:
        """Give the next thing that it says."""
        said = self._said.get(timeout=seconds)
        assert said is not END, self.stderr()
        return said

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self, seconds: float = PATIENCE) -> int:
        """Wait until it has ended by itself; gives its status."""
        return self.process.wait(seconds)

    def stderr(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def end(self) -> None:
        self.kill()
        self._reader.join(PATIENCE)
        cast("IO[str]", self.process.stdout).close()
        self._stderr.close()


def say(value: Any) -> None:
    """Tell the test something; called in the process."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    getattr(import_module(sys.argv[1]), sys.argv[2])(*json.loads(sys.argv[3]))
