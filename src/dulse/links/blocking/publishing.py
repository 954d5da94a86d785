"""The long ways of publishing on a blocking link: waiting for room, for confirms, and telling what went wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import get_ident
from time import monotonic

from dulse import errors
from dulse.amqp.confirms import COST, MOST_IN_ROW
from dulse.amqp.messages import written_anew
from dulse.links.amqp_problems import raise_first, tell
from dulse.links.blocking import turns
from dulse.links.blocking.line import SPENT, Call, Line
from dulse.links.blocking.port import Awaiting, Port
from dulse.links.blocking.sending import fitting, forget_sent, grant, has_room, has_unsent, push
from dulse.links.blocking.stream import WOULD_BLOCK
from dulse.model.message import Returned
from dulse.model.not_taken import raise_oldest, unroutable

_MOST_TOLD = 1000
"""Failures that are kept for the next flush; more of them are logged all the same."""


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

    def publish_slowly(self, port: Port, data: bytes, tag: int, generation: int, timeout: float | None) -> None:
        """Publish where the short way was shut; `tag` is not 0 if the message is in this window already."""
        placing = _Placing(self._line, port, data, None)
        placing.found(tag, generation)
        self._place(placing, timeout)

    def publish_and_wait(self, port: Port, data: bytes, timeout: float | None) -> None:
        """Publish, and wait for the broker's answer to this very message."""
        deadline = self.deadline(timeout)
        awaiting = Awaiting()
        placing = _Placing(self._line, port, data, awaiting)
        try:
            is_placed = self._send_at_once(placing) or self._place(placing, timeout)
        except BaseException:
            self._leave(port, awaiting)
            raise
        if is_placed and port.confirms:
            self._await_confirm(placing, awaiting, deadline)

    def _send_at_once(self, placing: _Placing) -> bool:
        """Send a message if the short way is open; False: it has to be seen to, whether or not it was begun."""
        line, port = self._line, placing.port
        size = len(placing.data)
        with line.lock:
            if turns.is_nested(line):
                return False
            room = line.room - size - COST  # from here to the next store no call, so that no signal handler spends it
            if room < 0 or not port.is_ready:
                return False
            line.inside = True
            try:
                line.room = room - SPENT  # an exception may strike before it is sent
                placing.join()
                port.window.sent.extend(map(line.send, (placing.data,)))
                if port.window.sent[-1] == size:
                    line.room = room
                    return True
            except WOULD_BLOCK:
                line.stuck = port
            except OSError as problem:
                line.failure = problem
            finally:
                line.inside = False
        return False

    def publish_in_rows(self, port: Port, messages: Sequence[bytes], timeout: float | None) -> None:
        """Publish many in order, as many by one call of the system as there is room for in the window."""
        deadline = self.deadline(timeout)
        done = 0
        while done < len(messages):
            done += self._place_row(port, messages[done : done + MOST_IN_ROW])
            left = None if timeout is None else max(0.0, deadline - monotonic())
            self._place(_Placing(self._line, port, messages[done], None), left)  # which waits, if there is need to
            done += 1

    def _place_row(self, port: Port, messages: Sequence[bytes]) -> int:
        """Send what there is room for at the moment, but for the last; gives how many."""
        line = self._line
        with line.lock:
            if line.inside or not port.is_ready or line.engine is None or line.engine.blocked is not None:
                return 0
            line.inside = True
            try:
                count = min(fitting(line, messages), len(messages) - 1)
                if count < 1 or not push(line):
                    return 0
                # They may have been written for a connection with larger frames.
                fit = line.frame_max
                row = [each if len(each) <= fit else written_anew(each, port.number, fit) for each in messages[:count]]
                line.spend()  # an exception may strike before they are sent
                port.window.entries.extend(row)
                push(line)
                forget_sent(line)
                return count
            finally:
                line.inside = False

    def publish_together(self, port: Port, messages: Sequence[bytes], timeout: float | None) -> None:
        """Publish many in order, and wait until the broker has answered for all of them."""
        deadline = self.deadline(timeout)
        placed: deque[tuple[_Placing, Awaiting]] = deque()
        problems: list[Exception] = []
        try:
            for data in messages:
                awaiting = Awaiting()
                placed.append((_Placing(self._line, port, data, awaiting), awaiting))
                if not (self._place(placed[-1][0], max(0.0, deadline - monotonic())) and port.confirms):
                    placed.pop()
            while placed:
                try:
                    self._await_confirm(*placed.popleft(), deadline)
                except errors.DulseError as problem:
                    problems.append(problem)
        finally:
            for _, awaiting in placed:
                self._leave(port, awaiting)
        raise_first(problems)

    def _await_confirm(self, placing: _Placing, awaiting: Awaiting, deadline: float) -> None:
        port = placing.port
        try:
            done = turns.wait(self._line, lambda: awaiting.done or placing.is_settled(), deadline, self.broke)
            self.attend()
        except BaseException:
            self._leave(port, awaiting)
            raise
        if not done:
            self._leave(port, awaiting)
            text = "the broker did not confirm a message in time; it may have it all the same"
            raise errors.make(errors.DeadlineExceeded, text)
        if isinstance(awaiting.problem, Returned):
            self._give_back(port, awaiting.problem)
        elif awaiting.problem is not None:
            raise awaiting.problem

    def _leave(self, port: Port, awaiting: Awaiting) -> None:
        """Wait no more for the broker's answer to a message; what it did not take is told otherwise."""
        with self._line.lock:
            was_left, problem, awaiting.is_left = awaiting.is_left, awaiting.problem, True
            if problem is not None and not was_left:
                error = unroutable(problem) if isinstance(problem, Returned) else problem
                self._line.problems.append((port, None, error))

    def _give_back(self, port: Port, back: Returned) -> None:
        if port.on_returned is None:
            raise unroutable(back)
        port.on_returned(back)

    def _place(self, placing: _Placing, timeout: float | None) -> bool:
        """Bring a message into the window and to the kernel; False if a nested call left it for others to send."""
        line, port = self._line, placing.port
        if turns.is_nested(line):
            port.check_open()
            if not placing.is_found:
                port.late.append(placing.data)
            line.spend()
            return False
        turns.glance(line, self.broke)
        self.attend()
        deadline = self.deadline(line.setup.write_timeout if timeout is None else timeout)
        while not turns.wait(line, placing.look, deadline, self.broke):
            if timeout is None and placing.is_blocked:
                deadline = monotonic() + 1.0  # `look` raises when blocked_timeout is over
                continue
            with line.lock:
                placing.withdraw()
            if placing.awaiting is not None:
                self._leave(port, placing.awaiting)
            raise errors.make(errors.DeadlineExceeded, "the message could not be sent in time; it may still arrive")
        line.wake_keeper()
        return True

    # ------------------------------------------------------------------------------------------- flush

    def await_confirms(self, timeout: float | None = None, port: Port | None = None) -> None:
        """Send everything, and wait until the broker has answered for messages; raises what it did not take."""
        line = self._line

        def settled() -> bool:
            ports = [each for each in line.ports.values() if port is None or port in {each, each.refuge_of}]
            if line.is_open:
                push(line)
                forget_sent(line)
            if any(each != get_ident() for each in line.tellers):
                return False  # what is raised has been told of before
            if not (line.is_open or line.is_broken):
                return True
            if any(each.window.entries or each.late or each.is_mending for each in ports):
                return False
            return port is not None or not has_unsent(line)

        done = turns.wait(line, settled, self.deadline(timeout), self.broke)
        self.attend()
        self._hand_over_returned()
        self.raise_problems(port)
        if not done:
            text = "the broker did not confirm in time what was published; it is still waited for"
            raise errors.make(errors.DeadlineExceeded, text)

    def _hand_over_returned(self) -> None:
        """Call the listeners of messages that came back."""
        line = self._line
        with line.lock:
            found = [each for each in line.ready if type(each) is Call and isinstance(each.argument, Returned)]
            gone = set(map(id, found))
            if found:
                line.ready = deque(each for each in line.ready if id(each) not in gone)
        for each in found:
            each.callback(each.argument)

    def raise_problems(self, port: Port | None) -> None:
        """Raise the oldest failure that nobody was told of, of one channel or all; the others count as told then."""
        line = self._line
        with line.lock:
            mine = [problem for each, problem in line.told if port is None or each is port]
            line.told = [each for each in line.told if port is not None and each[0] is not port]
        raise_oldest(mine)

    def report(self) -> None:
        """Tell of messages that the broker did not take, on this thread and without any lock."""
        line = self._line
        while True:
            with line.lock:
                if not line.problems:
                    return
                port, data, problem = line.problems.popleft()
                if len(line.told) < _MOST_TOLD:
                    line.told.append((port, problem))
                line.tellers.append(get_ident())
            try:
                tell(line.setup, data, problem)
            finally:
                line.tellers.remove(get_ident())
                line.tell()


class _Placing:
    """One message on its way into the window and out; `look` is called under the lock until it is with the kernel."""

    def __init__(self, line: Line, port: Port, data: bytes, awaiting: Awaiting | None) -> None:
        self._line = line
        self.port = port
        self.data = data
        self.awaiting = awaiting
        self._blocked_since: float | None = None
        self._tag = self._generation = 0

    def found(self, tag: int, generation: int) -> None:
        """Know where in which window it is already; 0: it is not."""
        self._tag, self._generation = tag, generation

    @property
    def is_found(self) -> bool:
        """Tell whether it is, or was, in the window."""
        return self._tag > 0

    @property
    def is_blocked(self) -> bool:
        """Tell whether the broker takes no messages for now."""
        return self._blocked_since is not None

    def look(self) -> bool:
        line, port = self._line, self.port
        size = len(self.data)
        if not self._tag:
            if not self._may_send(size):
                return False
            if size > line.frame_max:  # it may have been written for a connection with larger frames
                self.data = written_anew(self.data, port.number, line.frame_max)
            line.spend()  # an exception may strike before it is sent
            self.join()
        pushed = push(line)
        if not self._is_sent():
            if line.is_over:
                raise line.why_not()
            return False
        forget_sent(line)
        if pushed:
            grant(line, size)
        return True

    def join(self) -> None:
        """Enter the window; called under the lock."""
        window = self.port.window
        if self.awaiting is not None and self.port.confirms:
            window.tokens[window.last + 1] = self.awaiting
        window.entries.append(self.data)
        self._tag, self._generation = window.last, self.port.generation

    def is_settled(self) -> bool:
        """Tell whether the broker has answered; called under the lock."""
        port = self.port
        return not port.is_mending and self._is_current() and port.window.is_settled(self._tag)

    def _is_current(self) -> bool:
        """Find the message again after the window was numbered anew; False: it is not there any more."""
        port = self.port
        if self._generation != port.generation:
            window = port.window
            tags = (window.base + at for at, each in enumerate(window.entries) if each is self.data)
            self._tag, self._generation = next(tags, 0), port.generation
        return self._tag > 0

    def _is_sent(self) -> bool:
        port = self.port
        if port.is_mending or (not port.is_ready and port.is_open):
            return False
        return not self._is_current() or port.is_sent(self._tag)

    def _may_send(self, size: int) -> bool:
        line, port = self._line, self.port
        port.check_open()
        if line.is_over:
            raise line.why_not()
        return port.is_ready and self._has_passage() and has_room(line, size)

    def _has_passage(self) -> bool:
        """Tell whether the socket takes all and the broker is not blocked; raise if it has been for too long."""
        line = self._line
        if not line.is_open or line.engine is None:
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
        """Take the message back if none of it was sent and nothing came behind it; called under the lock."""
        line, window = self._line, self.port.window
        is_last = self._tag > 0 and self._is_current() and window.last == self._tag
        # What the socket has refused for now, TLS wants again.
        is_tried = line.stuck is self.port and line.stream is not None and line.stream.tls
        if is_last and len(window.sent) < len(window.entries) and not window.row and not is_tried:
            window.tokens.pop(self._tag, None)
            window.entries.pop()
