"""An end to whatever takes too long, with the stacks of all threads."""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import UnsupportedOperation
from types import FrameType
from typing import Any

_AGAIN = 1.0
"""Seconds after which it is raised once more, should somebody have caught it."""


class Overdue(BaseException):
    """The time is over. No Exception, so that nothing which takes errors as they come goes on after it."""


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raise Overdue in the block when it takes longer, even if it is blocked in a call.

    Works on the main thread, where signals arrive; elsewhere there is no limit.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def raise_overdue(_number: int, _frame: FrameType | None) -> None:
        _show_stacks()
        text = f"{what} did not end within {seconds:g} seconds"
        raise Overdue(text)

    before: Any = signal.signal(signal.SIGALRM, raise_overdue)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left, interval)


def _show_stacks() -> None:
    try:
        faulthandler.dump_traceback(sys.stderr)
    except (AttributeError, UnsupportedOperation, ValueError):
        faulthandler.dump_traceback(sys.__stderr__ or 2)
