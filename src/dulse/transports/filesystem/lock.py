"""The one lock of a broker: one thread of one process at a time takes a step; a process that dies lets go of it."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import random
from typing import Final

from dulse import errors

__all__ = ["Lock"]

SIGNALS: Final = frozenset(
    each
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2", "SIGCHLD")
    if (each := getattr(signal, name, None)) is not None
)
"""The signals that programs handle."""

SHORTEST_PAUSE: Final = 0.0002
LONGEST_PAUSE: Final = 0.01
"""Seconds between two tries, by chance a little more or less: the system's own queue has no deadline."""

STARVES_AFTER: Final = 0.02
"""Seconds after which who waits asks the others to stand back: busy publishers take the lock again at once, always.
Who stands back waits as well, and soon starves with the rest."""
HEARD_FOR: Final = 0.1
"""Seconds for which a plea counts, which is made anew by each try: a process may die while it waits."""
LOOK_EVERY: Final = 0.005
"""Seconds between two looks for a plea."""
PLEA: Final = struct.Struct("=d")
"""What stands in the lock's file: when somebody starved, on time.monotonic(), which is one clock for all processes."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Have signal handlers run when this is over, which takes a moment: they run on the main thread alone.

    Where another thread takes the signal, the handler comes in between all the same.
    """
    if threading.get_ident() != threading.main_thread().ident:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # a handler that is due runs in this call, and may raise
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Lock:
    """Held by threads by an RLock and by processes by flock(2). A signal handler that comes in between is let in."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._mutex = threading.RLock()
        self._look_at = 0.0
        self.depth = 0
        """How many steps of this thread are under way: more than one in a signal handler or finalizer."""

    def open(self) -> None:
        """Open the file, making it if there is none."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Let go of the file; in a forked child, of the parent's as well, whose lock this does not end."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def forget(self) -> None:
        """Begin anew in a forked child, where a thread of the parent may have held the mutex."""
        self._mutex = threading.RLock()
        self.depth = 0
        self.close()

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Hold the lock; StorageBusy: others held it for so many seconds. Signal handlers run before and afterwards."""
        begun = now = time.monotonic()
        pause = SHORTEST_PAUSE
        starves = False
        while True:
            if now - begun >= STARVES_AFTER:
                if not starves:
                    starves, pause = True, SHORTEST_PAUSE
                self._plead(now)
            if starves or not self._others_starve(now):
                with undisturbed():
                    if self._try():
                        try:
                            if starves:
                                self._plead(0.0)
                            yield
                        finally:
                            self._release()
                        return
            if now - begun >= seconds:
                text = f"{self._path}: others held the lock for {seconds:.1f} s: find out who, or allow more time"
                raise errors.make(errors.StorageBusy, text)
            time.sleep(pause * (0.5 + random()))  # noqa: S311 - no secret
            pause = min(pause * 1.5, LONGEST_PAUSE)
            now = time.monotonic()

    def _plead(self, now: float) -> None:
        """Ask others to stand back, or let them on."""
        with suppress(OSError):  # on a full disk nobody is asked: it is no more than a courtesy
            os.pwrite(self._opened(), PLEA.pack(now), 0)

    def _others_starve(self, now: float) -> bool:
        """Tell whether to stand back, which a step within a step of ours must not."""
        if self.depth or now < self._look_at:
            return False
        plea = os.pread(self._opened(), PLEA.size, 0)
        if len(plea) == PLEA.size and 0 <= now - PLEA.unpack(plea)[0] < HEARD_FOR:
            return True
        self._look_at = now + LOOK_EVERY
        return False

    def _try(self) -> bool:
        if not self._mutex.acquire(blocking=False):
            return False
        self.depth += 1
        try:
            if self.depth == 1:
                fcntl.flock(self._opened(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            self.depth -= 1
            self._mutex.release()
            if isinstance(error, BlockingIOError):
                return False
            raise
        return True

    def _opened(self) -> int:
        if self._descriptor < 0:
            raise errors.make(errors.ConnectionClosed, f"{self._path} is not open: call open()")
        return self._descriptor

    def _release(self) -> None:
        self.depth -= 1
        if not self.depth and self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._mutex.release()
