"""Kills processes between any two operations of a store, for the tests of those who write one.

Give `mortal(storage, Failpoint(n, "before"))` to `virtual_driver` in place of the storage: the process that opens it
dies by SIGKILL just before (or after) its n-th operation, and runs unchanged until then. Start such processes as a
`Child`, out of a program of its own, since a test runner with threads is no good parent for a fork.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Literal, TypeVar, cast

from dulse.virtual.storage import Storage

__all__ = ["Child", "Failpoint", "mortal"]

Moment = Literal["before", "after"]
Store = TypeVar("Store", bound=Storage)

NOT_COUNTED = frozenset({"capabilities", "discard", "wake", "arm"})
"""What does nothing in the store."""

GLANCE = 0.002
"""Seconds between two looks whether a child has ended."""


class Failpoint:
    """The death of this process at an operation that is counted from 1; `moment` is before or after it is done."""

    def __init__(self, number: int, moment: Moment = "before") -> None:
        self._left = number
        self._moment = moment
        self._mutex = threading.Lock()

    def __repr__(self) -> str:
        return f"<Failpoint {self._moment} the operation after {self._left - 1} more>"

    def pass_through(self, operation: Callable[[], Any]) -> Any:
        """Do one operation, and die if it is the one."""
        with self._mutex:
            self._left -= 1
            is_last = self._left == 0
        if is_last and self._moment == "before":
            die()
        result = operation()
        if is_last:
            die()
        return result


def die() -> None:
    """End this process at once, as a power loss would: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def mortal(storage: Store, failpoint: Failpoint) -> Store:
    """Give a storage that passes every operation on to this one, through the failpoint."""
    return cast("Store", _Mortal(storage, failpoint))


class _Mortal:
    def __init__(self, storage: Storage, failpoint: Failpoint) -> None:
        self._storage = storage
        self._failpoint = failpoint

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        if name in NOT_COUNTED or not callable(found):
            return found

        def operation(*arguments: Any, **named: Any) -> Any:
            return self._failpoint.pass_through(lambda: found(*arguments, **named))

        self.__dict__[name] = operation
        return operation

    def __repr__(self) -> str:
        return f"<{self._storage!r} with {self._failpoint!r}>"


class Child:
    """A forked child that makes one call and ends, if nothing ends it before. It never comes back from the call."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.status: int | None = None
        """0: the call returned; 1: it raised (the traceback is on stderr); -9: killed. None: not known yet."""
        self.number = os.fork()
        if self.number == 0:
            _run(call)

    def __repr__(self) -> str:
        return f"<Child {self.number}: {'running' if self.status is None else f'ended with {self.status}'}>"

    def has_ended(self) -> bool:
        """Tell whether it has ended, without waiting."""
        if self.status is None:
            number, status = os.waitpid(self.number, os.WNOHANG)
            if number:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if not self.has_ended():
            os.kill(self.number, number)

    def kill(self) -> None:
        """End it by SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(10)

    def wait(self, seconds: float) -> int:
        """Wait until it has ended and give its `status`; TimeoutError, and it is killed, if that takes longer."""
        deadline = monotonic() + seconds
        while not self.has_ended():
            if monotonic() > deadline:
                os.kill(self.number, signal.SIGKILL)
                os.waitpid(self.number, 0)
                self.status = -signal.SIGKILL
                raise TimeoutError(f"child {self.number} did not end within {seconds:g} s, and was killed")
            sleep(GLANCE)
        return cast("int", self.status)


def _run(call: Callable[[], object]) -> None:
    status = 1
    try:
        call()
        status = 0
    except BaseException:  # noqa: BLE001 - the parent's stack lies above us and must not be unwound here
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)
