"""A blocking link to an AMQP broker, which lives through lost connections. Threads may share it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from dulse import errors
from dulse.amqp.delivery import Delivery
from dulse.amqp.expected import Expected
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, confirm
from dulse.links.amqp_setup import LinkSetup
from dulse.links.blocking import turns
from dulse.links.blocking.handshake import shake_hands
from dulse.links.blocking.line import Call, Line, Status
from dulse.links.blocking.port import Consumer, Port
from dulse.links.blocking.publishing import Publishing
from dulse.links.blocking.sending import push
from dulse.links.blocking.stream import Stream

Opened = TypeVar("Opened", bound=Port)

_logger = logging.getLogger(__name__)

_HOLD = 0.002
"""Seconds for which finished deliveries may be collected while more are handed over."""


class Link(Publishing):
    """One connection after the other to the destinations of its setup."""

    def __init__(self, setup: LinkSetup) -> None:
        super().__init__(Line(setup))
        self._setup = setup

    def __repr__(self) -> str:
        return f"<Link {self._line!r}>"

    # ------------------------------------------------------------------------------------------- life

    @property
    def is_open(self) -> bool:
        """Whether it can be used, or is being replaced."""
        return self._line.status in {Status.OPEN, Status.BROKEN}

    def open(self, timeout: float) -> None:
        """Connect and log in within so many seconds."""
        sock, engine = shake_hands(self._setup.destinations[0], monotonic() + timeout)
        line = self._line
        with line.lock:
            line.stream = Stream(sock)
            line.send = line.stream.send
            line.engine = engine
            line.status = Status.OPEN

    def close(self, timeout: float | None = None) -> None:
        """Send and await what is outstanding, say goodbye, and let go. Raises what the broker did not take."""
        line = self._line
        if line.status is not Status.OPEN:
            self._let_go(Status.CLOSED)
            return
        deadline = monotonic() + (self._setup.timeout if timeout is None else timeout)
        try:
            self.flush(max(0.0, deadline - monotonic()))
        finally:
            try:
                self._say_goodbye(deadline)
            finally:
                self._let_go(Status.CLOSED)

    def _say_goodbye(self, deadline: float) -> None:
        line = self._line
        with line.lock:
            expected = line.need_engine().close()
            push(line)
        turns.wait(line, lambda: expected.done or line.status is not Status.OPEN, deadline, self.broke)

    def _let_go(self, status: Status) -> None:
        line = self._line
        with line.lock:
            stream, line.stream, line.status = line.stream, None, status
            for port in line.ports.values():
                port.shut(None)
            line.ports = {}
            line.ready.clear()
        if stream is not None:
            stream.close()
        line.changed.notify()

    def broke(self, problem: Exception) -> None:
        """Notice that the connection is lost; called without the lock, by whoever met the error."""
        line = self._line
        with line.lock:
            if line.status is not Status.OPEN:
                return
            line.error = problem
            line.status = Status.LOST
            if line.engine is not None:
                line.engine.lost(line.why_not())
            stream, line.stream = line.stream, None
        if stream is not None:
            stream.close()
        line.changed.notify()

    def discard(self) -> None:
        """Forget everything without a byte to the broker: called in a forked child."""
        stream, ports = self._line.stream, list(self._line.ports.values())
        self._line.forget()
        for port in ports:
            port.shut(None)
        if stream is not None:
            stream.drop()

    # ------------------------------------------------------------------------------------------- calls

    def port(self, kind: type[Opened], timeout: float | None = None) -> Opened:
        """Open a channel, of Port or a subclass."""
        deadline = self.deadline(timeout)
        line = self._line
        with line.lock:
            expected = line.need_engine().open_channel()
            push(line)
        self._await(expected, deadline)
        with line.lock:
            writer = line.need_engine().writer(expected.channel)
            port = line.ports[expected.channel] = kind(self, line, expected.channel, writer)
        if port.confirms:
            self.call(port, confirm.Select(), timeout)
        return port

    def call(self, port: Port, method: Method, timeout: float | None = None) -> Method | Delivery:
        """Call a method of a channel and give the reply; raises what the broker says against it."""
        deadline = self.deadline(timeout)
        line = self._line
        with line.lock:
            port.check_open()
            expected = line.need_engine().call(port.number, method)
            push(line)
        return self._await(expected, deadline)

    def _await(self, expected: Expected, deadline: float) -> Method | Delivery:
        line = self._line
        if not turns.wait(line, lambda: expected.done, deadline, self.broke):
            with line.lock:
                if not expected.done:
                    line.abandoned.append(expected)
            text = f"the broker did not answer {expected.method.name} in time"
            raise errors.make(errors.DeadlineExceeded, text)
        self.attend()
        return expected.result()

    def check(self, timeout: float | None = None) -> None:
        """Do one round trip to the broker."""
        port = self.port(Port, timeout)
        self.close_port(port, timeout)

    def close_port(self, port: Port, timeout: float | None = None) -> None:
        """Close a channel."""
        line = self._line
        with line.lock:
            if not port.is_open:
                return
            port.shut(None)
            engine = line.need_engine()
            expected = engine.close_channel(port.number)
            push(line)
        self._await(expected, self.deadline(timeout))
        with line.lock:
            line.ports.pop(port.number, None)

    # ------------------------------------------------------------------------------------------- deliver

    def drain(self, timeout: float | None = None) -> None:
        """Hand over one event on this thread; DeadlineExceeded if there was none within `timeout` seconds."""
        line = self._line
        now = monotonic()
        if now > line.acks_due:
            if line.acked:
                self.acked(now=True)
            line.acks_due = now + _HOLD
        with line.lock:
            event = line.ready.popleft() if line.ready else None
        if event is None:
            event = self._await_event(None if timeout is None else now + timeout, timeout)
        if not isinstance(event, Delivery):
            event[0](event[1])
            return
        port = line.ports.get(event.channel)
        consumer = port.consumers.get(event.consumer_tag) if port is not None else None
        if port is None or consumer is None:
            return
        acks = port.acks
        if event.delivery_tag > acks.newest:  # noqa: PLR1730 - max() is a call for each message
            acks.newest = event.delivery_tag
        if consumer.no_ack:
            acks.skip(event.delivery_tag)
        event.delivery_tag += port.offset
        consumer.on_delivery(event)

    def _await_event(self, deadline: float | None, timeout: float | None) -> Delivery | Call:
        line = self._line
        found: list[Delivery | Call] = []

        def look() -> bool:
            if line.ready:
                found.append(line.ready.popleft())
                return True
            if line.status is not Status.OPEN and line.status is not Status.BROKEN:
                raise line.why_not()
            push(line)
            return False

        if not turns.wait(line, look, deadline, self.broke):
            self.attend()
            raise errors.make(errors.DeadlineExceeded, f"no message within {timeout} seconds")
        self.attend()
        line.wake_keeper()
        return found[0]

    def consume(
        self,
        port: Port,
        method: basic.Consume,
        on_delivery: Callable[[Delivery], Any],
        on_cancel: Callable[[str], Any] | None,
        timeout: float | None = None,
    ) -> None:
        """Start a consumer, whose tag is ours."""
        if method.consumer_tag in port.consumers:
            text = f"NOT_ALLOWED - consumer tag {method.consumer_tag!r} is in use on channel {port.number}"
            raise errors.make(errors.NotAllowed, text, code=530, method=method.name)
        port.consumers[method.consumer_tag] = Consumer(method, on_delivery, on_cancel)
        try:
            self.call(port, method, timeout)
        except BaseException:
            port.consumers.pop(method.consumer_tag, None)
            raise

    def cancel(self, port: Port, consumer_tag: str, timeout: float | None = None) -> None:
        """End a consumer; what was not handed over goes back. Unknown tags are no error."""
        if consumer_tag not in port.consumers:
            port.check_open()
            return
        self.call(port, basic.Cancel(consumer_tag), timeout)
        line = self._line
        with line.lock:
            port.consumers.pop(consumer_tag, None)
            for event in self._take_ready(port, consumer_tag):
                port.acks.newest = max(port.acks.newest, event.delivery_tag)
                port.acks.reject(event.delivery_tag, requeue=True, multiple=False)
            line.acked.append(port)
        self.acked(now=True)

    def _take_ready(self, port: Port, consumer_tag: str | None = None) -> list[Delivery]:
        """Take out what was not handed over; under the lock."""
        line = self._line
        mine = [
            each
            for each in line.ready
            if isinstance(each, Delivery)
            and each.channel == port.number
            and (consumer_tag is None or each.consumer_tag == consumer_tag)
        ]
        gone = set(map(id, mine))
        line.ready = deque(each for each in line.ready if id(each) not in gone)
        return mine

    def recover(self, port: Port, timeout: float | None = None) -> None:
        """Give back all that a channel was handed and has not settled."""
        with self._line.lock:
            newest = port.acks.newest
        self.call(port, basic.Recover(requeue=True), timeout)
        with self._line.lock:
            port.acks.settle_all(newest)

    def get(self, port: Port, queue: str, *, no_ack: bool, timeout: float | None) -> Delivery | None:
        """Take one message."""
        reply = self.call(port, basic.Get(queue, no_ack), timeout)
        if not isinstance(reply, Delivery):
            return None
        with self._line.lock:
            port.acks.newest = max(port.acks.newest, reply.delivery_tag)
            if no_ack:
                port.acks.skip(reply.delivery_tag)
            reply.delivery_tag += port.offset
        return reply

    # ------------------------------------------------------------------------------------------- settle

    def acked(self, *, now: bool = False) -> None:
        """See to it that collected acknowledgements go out: now, where somebody waits for the broker meanwhile."""
        line = self._line
        line.wake_keeper()
        try:
            with line.lock:
                if not line.inside and (now or line.reader is not None):
                    line.inside = True
                    try:
                        push(line)
                    finally:
                        line.inside = False
        except OSError as problem:
            self.broke(problem)

    def drop_stale(self, port: Port, delivery_tag: int) -> None:
        """Drop an acknowledgement of a delivery that came by a lost connection: the broker delivers it again."""
        _logger.debug("%r: delivery %d came by a connection that was lost; it comes again", port, delivery_tag)

    def refuse(self, port: Port, problem: Exception) -> None:
        """Close a channel because of the caller's mistake, as the broker would; called under the lock."""
        line = self._line
        port.shut(problem)
        if line.status is Status.OPEN and line.engine is not None:
            line.engine.close_channel(port.number, 200, "closed by the client after a mistake of its program")

    # ------------------------------------------------------------------------------------------- what comes up

    def attend(self) -> None:
        """Do what came up while others were busy: channels that the broker closed, messages it did not take."""
        line = self._line
        while line.endings:
            with line.lock:
                if not line.endings:
                    break
                port, problem = line.endings.popleft()
                port.shut(problem)
                line.ports.pop(port.number, None)
                self._take_ready(port)
                for each in port.window.unconfirmed():
                    port.fail(each.tag, each.data, problem)
        if line.problems:
            self.report()
