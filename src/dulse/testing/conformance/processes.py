"""Real processes beside that of a case: started anew, or forked; told and heard by lines of JSON."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import IO, Any, cast

from dulse.testing.conformance.completing import completed
from dulse.testing.conformance.time_limit import time_limit

PATIENCE = 40.0
"""Seconds that a case waits for another process to say or do something."""

CHILD_SECONDS = 60.0
"""Within these a child ends, whatever becomes of its parent."""

_ENDED = object()


class Process:
    """A child that runs a program of the module `programs`: `python -m dulse.testing.conformance.child …`."""

    def __init__(self, form: str, program: str, url: str, options: Mapping[str, Any], arguments: Sequence[Any]) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - kept for as long as the process runs
        given = json.dumps({"url": url, "options": dict(options), "arguments": list(arguments)})
        self._process = subprocess.Popen(  # noqa: S603 - a program of our own
            [sys.executable, "-m", "dulse.testing.conformance.child", form, program, given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self._program = program
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"reader of {program}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in cast("IO[str]", self._process.stdout):
            self._said.put(json.loads(line))
        self._said.put(_ENDED)

    def hear(self, seconds: float = PATIENCE) -> Any:
        """Give the next thing that it says; AssertionError when it ends instead, or says nothing for so long."""
        try:
            said = self._said.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(self._complaint(f"said nothing for {seconds:g} s")) from None
        if said is _ENDED:
            raise AssertionError(self._complaint("ended without a word"))
        return said

    def tell(self, value: Any) -> None:
        """Say something to it."""
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write(json.dumps(value) + "\n")
        stdin.flush()

    def kill(self) -> None:
        """End it by SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._close()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def finish(self, seconds: float = PATIENCE) -> None:
        """Wait until it has ended by itself, in order."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._complaint(f"did not end within {seconds:g} s")) from None
        complaint = self._complaint(f"ended with status {status}")
        self._close()
        if status:
            raise AssertionError(complaint)

    def end(self) -> None:
        """Kill it if it still runs, and let go of it."""
        if self._process.returncode is None:
            self.kill()

    def _close(self) -> None:
        self._process.wait()
        self._reader.join(PATIENCE)
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def _complaint(self, what: str) -> str:
        self._stderr.seek(0)
        stderr = self._stderr.read().decode(errors="replace")[-4000:]
        return f"the child {self._program!r} {what}{': ' if stderr else ''}{stderr}"


def run_forked(call: Callable[[], Any]) -> int:
    """Fork, make a call in the child, which ends without coming back, and give the child's number.

    Its exit status is 0 if the call raised nothing. A coroutine function runs in an event loop of the child's own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is what is tried here
        number = os.fork()
    if number:
        return number
    status = 1
    try:
        with time_limit(PATIENCE, "the forked child"):
            completed(call())
        status = 0
    except BaseException:  # noqa: BLE001 - nothing may come back from here
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def await_forked(number: int, seconds: float = PATIENCE) -> None:
    """Wait until a forked child has ended; AssertionError if that takes longer, or if its call raised something."""
    deadline = monotonic() + seconds
    while True:
        ended, status = os.waitpid(number, os.WNOHANG)
        if ended:
            break
        if monotonic() > deadline:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            text = f"the forked child did not end within {seconds:g} s"
            raise AssertionError(text)
        sleep(0.005)
    if status:
        text = f"the forked child failed (status {os.waitstatus_to_exitcode(status)}): see its traceback on stderr"
        raise AssertionError(text)
