"""Who reads a blocking link: one of those who wait leads, the others follow.

The leader reads, hands out what came and sends what is stuck; all who wait look again after each of its turns.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from time import monotonic

from dulse import errors
from dulse.links.blocking.line import Line
from dulse.links.blocking.receiving import receive
from dulse.links.blocking.sending import push
from dulse.links.blocking.stream import WOKEN
from dulse.links.polling import WRITABLE

_SLICE = 0.5
"""Seconds after which everybody who waits looks for himself (PEP 475; a wake-up that an exception cut off)."""

Broke = Callable[[Exception], None]


def is_nested(line: Line) -> bool:
    """Tell whether this is a signal handler or destructor that struck in the middle of this very thread's work."""
    with line.lock:  # which another thread inside would hold
        return line.inside or (line.reader is not None and line.leader == get_ident())


def wait(line: Line, ready: Callable[[], bool], deadline: float | None, broke: Broke) -> bool:
    """Wait until `ready()`, which is called under the lock; False if it is not by `deadline` (of time.monotonic).

    `broke` is called, without the lock, with what the socket raised. A nested call cannot wait: InvalidArgument.
    """
    if is_nested(line):
        text = "a signal handler or destructor called what waits for the broker, inside another such call: let it only "
        raise errors.make(errors.InvalidArgument, text + "publish, or set a flag")
    token = object()
    while True:
        leads = False
        try:
            with line.lock:
                seen = line.changed.ticket()
                line.inside = True
                try:
                    if ready():
                        return True
                finally:
                    line.inside = False
                left = _SLICE if deadline is None else min(deadline - monotonic(), _SLICE)
                if left <= 0 and line.failure is None:
                    return False
                if line.reader is None and line.is_open and line.failure is None:
                    line.reader, line.leader = token, get_ident()
            leads = line.reader is token
            if line.failure is not None:
                broke(line.failure)
            elif leads:
                _lead(line, left)
            else:
                line.changed.wait(left, seen)
        finally:
            if line.reader is token:
                line.reader = None
        if leads:
            line.changed.notify()


def glance(line: Line, broke: Broke) -> None:
    """Read what is there, if nobody reads and there is no need to wait."""
    token = object()
    try:
        with line.lock:
            if line.reader is None and line.is_open and not line.inside:
                line.reader, line.leader = token, get_ident()
        if line.reader is token:
            receive(line)
    finally:
        if line.reader is token:
            line.reader = None
    line.changed.notify()
    if line.failure is not None:
        broke(line.failure)


def push_now(line: Line, broke: Broke) -> bool:
    """Send what is waiting, without waiting; True: nothing is left. For a nested call others do it."""
    with line.lock:
        if line.inside:
            return False
        line.inside = True
        try:
            done = push(line)
        finally:
            line.inside = False
    if line.failure is not None:
        broke(line.failure)
    return done


def _lead(line: Line, seconds: float) -> None:
    """Read; if there is nothing, wait until there is, or until the socket takes what it would not take before."""
    if (line.is_behind or not line.is_drained) and receive(line):
        return
    stuck = line.stuck is not None or not _pushed(line)
    stream = line.stream
    if stream is None or line.failure is not None:
        return
    happened = stream.wait(seconds, writing=stuck)
    if happened & ~(WRITABLE | WOKEN) or (happened and stream.tls):
        receive(line)  # first, for it may say why nothing more can be sent
    if happened & WRITABLE and line.failure is None:
        _pushed(line)


def _pushed(line: Line) -> bool:
    """Send what is waiting; False: the socket did not take all."""
    with line.lock:
        line.inside = True
        try:
            return push(line) or (line.stuck is None and not line.tail)
        finally:
            line.inside = False
