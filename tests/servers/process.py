"""Servers as child processes: started with a log, watched until they answer, ended by their number whatever happens."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep

GLANCE = 0.02
"""Seconds between two looks at a server that cannot tell us anything yet."""

START_WITHIN = 90.0
STOP_WITHIN = 20.0
LAST_WORDS = 3000

_running: dict[int, Process] = {}
_owner = os.getpid()


class DidNotStart(Exception):
    """A server that is installed ended, or did not answer in time; the text has the end of its log."""


class Process:
    """A program of ours that is meant to run until it is stopped; dies with us, even if we are killed."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        # setpriv instead of a preexec_fn, which is not safe in a program with threads.
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C is for pytest, which then ends us in order
                cwd="/",
            )
        _running[self.pid] = self

    def __repr__(self) -> str:
        return f"<Process {self.pid}: {'running' if self.is_alive else f'ended with {self._child.returncode}'}>"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it by SIGKILL, and wait until it is gone."""
        self._child.kill()
        self._forget()

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        self._child.send_signal(signal.SIGCONT)
        self._child.terminate()
        try:
            self._child.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._child.kill()
        self._forget()

    def wait_until(self, is_ready: Callable[[], bool], within: float = START_WITHIN) -> None:
        """Block until it is ready; DidNotStart if it ends or takes too long."""
        deadline = monotonic() + within
        while not is_ready():
            if not self.is_alive:
                raise DidNotStart(f"{self!r} before it was ready:\n{self.last_words()}")
            if monotonic() > deadline:
                raise DidNotStart(f"{self!r}, not ready within {within:g} s:\n{self.last_words()}")
            sleep(GLANCE)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:]

    def _forget(self) -> None:
        self._child.wait(STOP_WITHIN)
        _running.pop(self.pid, None)


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, within: float = 60.0) -> str:
    """Run a command to its end and give what it printed; CalledProcessError has that too."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=within, env=environment, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def folder(inside: Path | None = None) -> Path:
    """Make a folder for a server's data, outside the tree; servers that run as another user may pass through it."""
    made = Path(tempfile.mkdtemp(prefix="dulse-", dir=inside))
    made.chmod(0o711)
    return made


def as_user(name: str) -> list[str]:
    """What to put before a command so that root runs it as this user; others run it as themselves."""
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"] if os.geteuid() == 0 else []


def _end_all() -> None:
    if os.getpid() == _owner:
        for process in list(_running.values()):
            process.kill()


atexit.register(_end_all)
