"""What all servers of the tests have in common: start, kill, stop, freeze, start again on the same port and data."""

from __future__ import annotations

import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.ports import HOST
from tests.servers.process import Process


class Server(ABC):
    """One server. It is made stopped, and may be killed and started any number of times."""

    host = HOST

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None, owner: str | None = None) -> None:
        """Keep all in `folder`; run it as `owner` if we are root."""
        self.folder = folder
        self.environment = environment
        self.owner = owner
        self._process: Process | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self._process!r}>"

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_alive

    def start(self, *, wait: bool = True) -> None:
        """Start it, unless it runs, and block until it serves."""
        if not self.is_running:
            if self._process is None:
                self._prepare()
            self._process = Process(self.command(), self.folder / "log", self.environment, self.owner)
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Block until it serves; DidNotStart, with the end of its log, if it does not."""
        self._started().wait_until(self.is_ready)

    def kill(self) -> None:
        """End it and all its processes by SIGKILL, as a power loss would."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze it (SIGSTOP): its sockets stay open and nothing answers."""
        self._started().signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._started().signal(signal.SIGCONT)

    def last_words(self) -> str:
        """The end of its log."""
        return self._started().last_words()

    @abstractmethod
    def prepare(self) -> None:
        """Make its data and configuration, once, in a folder that may be missing."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What to run."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether it serves."""

    def _prepare(self) -> None:
        try:
            self.prepare()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)  # the next attempt shall not find half of it
            raise

    def _started(self) -> Process:
        assert self._process is not None, f"{self!r} has not been started"
        return self._process
