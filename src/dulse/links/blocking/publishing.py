"""The long ways of publishing on a blocking link: waiting for room, for confirms, and telling what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic

from dulse import errors
from dulse.links.blocking import turns
from dulse.links.blocking.line import Line, Status
from dulse.links.blocking.port import Port, describe, unroutable
from dulse.links.blocking.sending import forget_sent, grant, has_room, has_unsent, push
from dulse.model.message import Returned

_logger = logging.getLogger(__name__)


class Publishing:
    """The part of `Link` that publishes; not for use by itself."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def deadline(self, timeout: float | None) -> float:
        """Give when a call has to end, in seconds of time.monotonic."""
        return monotonic() + (self._line.setup.timeout if timeout is None else timeout)

    def broke(self, problem: Exception) -> None:
        """Notice that the connection is lost."""
        raise NotImplementedError

    def attend(self) -> None:
        """Do what came up while others were busy."""
        raise NotImplementedError

    def publish_slowly(self, port: Port, data: bytes, serial: int, timeout: float | None) -> None:
        """Publish where the short way was shut; `serial` is not 0 if the message is in the window already."""
        self._place(port, data, serial, timeout)

    def publish_and_wait(self, port: Port, data: bytes, timeout: float | None) -> None:
        """Publish, and wait for the broker's answer to this very message."""
        deadline = self.deadline(timeout)
        serial = self._place(port, data, 0, timeout, awaits=True)
        if not serial:
            return
        try:
            if not turns.wait(self._line, lambda: self._is_answered(port, serial), deadline, self.broke):
                text = "the broker did not confirm a message in time; it may have it all the same"
                raise errors.make(errors.DeadlineExceeded, text)
        finally:
            with self._line.lock:
                problem = port.awaited.pop(serial, None)
        self.attend()
        if isinstance(problem, Returned):
            self._give_back(port, problem)
        elif problem is not None:
            raise problem

    def publish_together(self, port: Port, messages: Sequence[bytes], timeout: float | None) -> None:
        """Publish many in order."""
        deadline = self.deadline(timeout)
        for data in messages:
            self._place(port, data, 0, max(0.0, deadline - monotonic()))

    def _give_back(self, port: Port, back: Returned) -> None:
        if port.on_returned is None:
            raise unroutable(back)
        port.on_returned(back)

    def _is_answered(self, port: Port, serial: int) -> bool:
        return port.is_settled(serial) or isinstance(port.awaited.get(serial), Exception)

    def _place(self, port: Port, data: bytes, serial: int, timeout: float | None, *, awaits: bool = False) -> int:
        """Bring a message into the window and to the kernel; gives its serial, or 0 if a nested call left it behind."""
        line = self._line
        if turns.is_nested(line):
            port.check_open()
            port.late.append(data)
            line.spend()
            return 0
        turns.glance(line, self.broke)
        self.attend()
        placing = _Placing(line, port, data, serial, awaits=awaits)
        if not turns.wait(line, placing.look, self.deadline(timeout), self.broke):
            with line.lock:
                placing.withdraw()
            raise errors.make(errors.DeadlineExceeded, "the message could not be sent in time; it may still arrive")
        line.wake_keeper()
        return placing.serial

    # ------------------------------------------------------------------------------------------- flush

    def flush(self, timeout: float | None = None, port: Port | None = None) -> None:
        """Send everything, and wait until the broker has answered for it; raises what it did not take."""
        line = self._line

        def settled() -> bool:
            ports = [port] if port is not None else list(line.ports.values())
            if line.status is Status.OPEN:
                push(line)
                forget_sent(line)
            elif line.status is not Status.BROKEN:
                return True
            return not any(each.window.entries or each.late for each in ports) and not (
                port is None and has_unsent(line)
            )

        done = turns.wait(line, settled, self.deadline(timeout), self.broke)
        self.attend()
        self.raise_problems(port)
        if not done:
            text = "the broker did not confirm in time what was published; it is still waited for"
            raise errors.make(errors.DeadlineExceeded, text)

    def raise_problems(self, port: Port | None) -> None:
        """Raise the first of the failures that nobody was told of, of one channel or of all."""
        line = self._line
        with line.lock:
            mine = [each for each in line.told if port is None or each[0] is port]
            for each in mine:
                line.told.remove(each)
        if mine:
            raise mine[0][1]

    def report(self) -> None:
        """Tell of messages that the broker did not take, on this thread and without any lock."""
        line = self._line
        while True:
            with line.lock:
                if not line.problems:
                    return
                port, data, problem = line.problems.popleft()
                line.told.append((port, problem))
            _logger.error("a message was not taken by the broker: %s", problem)
            callback = line.setup.on_unconfirmed
            if callback is not None and data is not None:
                callback(describe(data), problem)


class _Placing:
    """One message on its way into the window and out; `look` is called under the lock until it is with the kernel."""

    def __init__(self, line: Line, port: Port, data: bytes, serial: int, *, awaits: bool) -> None:
        self._line = line
        self._port = port
        self._data = data
        self._awaits = awaits
        self._blocked_since: float | None = None
        self.serial = serial

    def look(self) -> bool:
        line, port = self._line, self._port
        size = len(self._data)
        if not self.serial:
            port.check_open()
            if line.status is not Status.OPEN and line.status is not Status.BROKEN:
                raise line.why_not()
            if not port.is_ready or not self._may_send() or not has_room(line, size):
                return False
            if self._awaits:
                port.awaited[port.window.last + 1 + port.shift] = None
            port.window.entries.append(self._data)
            self.serial = port.window.last + port.shift
        pushed = push(line)
        if not port.is_sent(self.serial):
            if line.status is not Status.OPEN and line.status is not Status.BROKEN:
                raise line.why_not()
            return False
        forget_sent(line)
        if pushed:
            grant(line, size)
        return True

    def _may_send(self) -> bool:
        line = self._line
        if line.status is not Status.OPEN or line.engine is None:
            return False
        reason = line.engine.blocked
        if reason is None:
            self._blocked_since = None
            return push(line)
        since = self._blocked_since = self._blocked_since or monotonic()
        if monotonic() - since >= line.setup.blocked_timeout:
            text = (
                f"the broker has taken no messages for {line.setup.blocked_timeout:g} s ({reason}); "
                "this one was not sent: free what it lacks, and publish again"
            )
            raise errors.make(errors.Blocked, text)
        return False

    def withdraw(self) -> None:
        """Take the message back if none of it was sent and nothing came behind it."""
        port = self._port
        window = port.window
        if self.serial and window.last + port.shift == self.serial and len(window.sent) < len(window.entries):
            port.awaited.pop(self.serial, None)
            window.entries.pop()
