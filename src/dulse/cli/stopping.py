"""Ends a command on SIGINT and SIGTERM: at once, or after the step under way."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """The process was asked to end by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Stop:
    """Whether the process was asked to end; entered for as long as the command runs.

    A signal raises Stopped where the command happens to be. Inside `after_each_step()` the first one is kept instead,
    to be raised by `check()` between two steps; a second one is raised all the same.
    """

    def __init__(self) -> None:
        self.number = 0
        self._is_deferring = False
        self._before: dict[int, Any] = {}
        self._pipe: tuple[int, ...] = ()
        self._told_before = -1

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe()
            for descriptor in self._pipe:
                os.set_blocking(descriptor, False)
            self._told_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            for each in SIGNALS:
                self._before[each] = signal.signal(each, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._pipe:
            signal.set_wakeup_fd(self._told_before)
        for descriptor in self._pipe:
            os.close(descriptor)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        again = bool(self.number)
        self.number = number
        if again or not self._is_deferring:
            raise Stopped(number)

    def check(self) -> None:
        """Raise Stopped if the process was asked to end."""
        if self.number:
            raise Stopped(self.number)

    @contextmanager
    def after_each_step(self) -> Iterator[None]:
        """Let signals wait for `check()`."""
        with self._set(deferring=True):
            yield

    @contextmanager
    def at_once(self, descriptor: int | None = None) -> Iterator[None]:
        """Let signals interrupt, inside `after_each_step()`: for what may wait for long and can be left undone.

        Where it begins, there is something to read from the descriptor: a signal that comes in the moment before a read
        would else be noticed when that ends.
        """
        with self._set(deferring=False):
            self.check()
            if descriptor is not None and self._pipe:
                self._wait_for(descriptor)
            yield

    def _wait_for(self, descriptor: int) -> None:
        woken = self._pipe[0]
        while descriptor not in (readable := select.select([descriptor, woken], [], [])[0]):
            os.read(readable[0], 512)  # a handler runs about here, and raises where the signal asks us to end

    @contextmanager
    def _set(self, *, deferring: bool) -> Iterator[None]:
        before, self._is_deferring = self._is_deferring, deferring
        try:
            yield
        finally:
            self._is_deferring = before
