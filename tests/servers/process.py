"""Servers as child processes: started with a log, watched until they answer, ended by their number whatever happens."""

from __future__ import annotations

import atexit
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep

GLANCE = 0.02
"""Seconds between two looks at a server that cannot tell us anything yet."""

START_WITHIN = 120.0
STOP_WITHIN = 20.0
LAST_WORDS = 3000

_running: dict[int, Process] = {}
_owner = os.getpid()
_starter = ThreadPoolExecutor(1, "server-starter")


class DidNotStart(Exception):
    """A server that is installed ended, or did not answer in time; the text has the end of its log."""


class Process:
    """A program of ours that is meant to run until it is stopped; dies with us, even if we are killed.

    If we are root, it runs as `user`.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        # A thread of its own, since a child "dies with its parent" when the thread ends that has started it.
        self._child = _starter.submit(self._start, command, environment, user).result()
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
        """End it and its descendants by SIGKILL, and wait until they are gone."""
        descendants = _descendants(self.pid) if self.is_alive else []
        self._child.kill()
        self._forget()
        for pid in descendants:  # their own parent is gone, so init reaps them
            _end(pid)

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        self._child.terminate()
        try:
            self._child.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
        self._forget()

    def wait_until(self, is_ready: Callable[[], bool], within: float = START_WITHIN) -> None:
        """Block until it is ready; DidNotStart if it ends or takes too long."""

        def is_ready_or_gone() -> bool:
            if not self.is_alive:
                raise DidNotStart(f"{self!r} before it was ready:\n{self.last_words()}")
            return is_ready()

        try:
            wait_until(is_ready_or_gone, repr(self), within)
        except TimeoutError as late:
            raise DidNotStart(f"{late}:\n{self.last_words()}") from None

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:]

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str] | None, user: str | None
    ) -> subprocess.Popen[bytes]:
        # setpriv and no preexec_fn, which is not safe in a program with threads. A change of the user comes first,
        # as it would undo the rest.
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [*as_user(user), "setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C is for pytest, which then ends us in order
                cwd="/",
            )

    def _forget(self) -> None:
        self._child.wait(STOP_WITHIN)
        _running.pop(self.pid, None)


def wait_until(is_so: Callable[[], bool], what: str, within: float = START_WITHIN) -> None:
    """Look again and again at something outside of us that cannot wake us; TimeoutError names what did not come."""
    deadline = monotonic() + within
    while not is_so():
        if monotonic() > deadline:
            raise TimeoutError(f"{what}: not ready within {within:g} s")
        sleep(GLANCE)


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, within: float = START_WITHIN) -> str:
    """Run a command to its end and give what it printed; CalledProcessError has that too."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=within, env=environment, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def as_user(name: str | None) -> list[str]:
    """What to put before a command so that root runs it as this user; others run it as themselves."""
    if name is None or os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"]


def give(path: Path, user: str) -> None:
    """Make a file or folder the user's, if we are root."""
    if os.geteuid() == 0:
        shutil.chown(path, user, user)


def _descendants(pid: int) -> list[int]:
    """The processes that this one has started, and those that they have started."""
    try:
        found = [int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in _words(task / "children")]
    except FileNotFoundError:
        return []
    return found + [deeper for each in found for deeper in _descendants(each)]


def _words(file: Path) -> list[str]:
    return file.read_text(encoding="ascii").split()


def _end(pid: int) -> None:
    """Kill a process that is not our child, and wait until it is gone."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(watched, signal.SIGKILL)
        select.select([watched], [], [], STOP_WITHIN)
    except ProcessLookupError:
        return
    finally:
        os.close(watched)


def _end_all() -> None:
    if os.getpid() == _owner:
        for process in list(_running.values()):
            process.kill()


atexit.register(_end_all)
