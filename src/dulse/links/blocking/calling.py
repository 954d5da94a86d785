"""Channels of a blocking link, and what is asked on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from dulse import errors
from dulse.amqp.commands import may_repeat
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.expected import Expected
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, confirm
from dulse.links.amqp_problems import unconfirmed
from dulse.links.blocking import turns
from dulse.links.blocking.line import Line
from dulse.links.blocking.port import Port
from dulse.links.blocking.publishing import Publishing
from dulse.links.blocking.sending import adopt_late, finish_begun, push, write_acks
from dulse.model.commands import Command

if TYPE_CHECKING:
    from dulse.links.blocking.link import Link

Made = TypeVar("Made", bound=Port)


_ATTEMPTS = 5
"""How often a call is made that ends its connection each time, which it may be the reason of."""


class _Asking:
    """One call on its way; `look` is called under the lock until it is answered."""

    def __init__(
        self,
        line: Line,
        ask: Callable[[Engine], Expected],
        port: Port | None,
        then: Callable[[Expected], None] | None,
    ) -> None:
        self._line = line
        self._ask = ask
        self._port = port
        self._then = then
        self.expected: Expected | None = None

    def look(self) -> bool:
        line, port = self._line, self._port
        if self.expected is None:
            if port is not None:
                port.check_open()
            if line.is_over:
                raise line.why_not()
            if line.is_broken or line.failure is not None or (port is not None and not port.is_ready):
                return False
            write_acks(line)
            self.expected = self._ask(line.need_engine())
            push(line)
        if self.expected.done and self.expected.error is None and self._then is not None:
            self._then(self.expected)
        return self.expected.done


class Calling(Publishing):
    """The part of `Link` that opens channels and calls; not for use by itself."""

    def port(self, kind: type[Made], timeout: float | None = None) -> Made:
        """Open a channel, of Port or a subclass."""
        line = self._line
        made: list[Made] = []

        def opened(expected: Expected) -> None:
            number = expected.channel
            made.append(kind(cast("Link", self), line, number, line.need_engine().writer(number)))
            line.ports[number] = made[0]
            line.remembered.open_channel(number, confirms=made[0].confirms)

        self._call(lambda engine: engine.open_channel(reserved=line.ports), timeout, then=opened)
        if made[0].confirms:
            try:
                self.call(made[0], confirm.Select(), timeout)
            except BaseException:
                with line.lock:
                    self._give_up_port(made[0])
                raise
        return made[0]

    def call(
        self, port: Port, method: Method, timeout: float | None = None, then: Callable[[Expected], None] | None = None
    ) -> Method | Delivery:
        """Call a method of a channel and give the reply; raises what the broker says against it.

        Where a lost link cuts the call off, it is made again if that does no harm, else ConnectionLost is raised.
        `then` is called under the lock, as soon as the reply is there.
        """

        def ask(engine: Engine) -> Expected:
            port.check_open()
            return engine.call(port.number, method)

        reply = self._call(ask, timeout, port, again=may_repeat(method), then=then).reply
        if reply is None:
            raise errors.make(errors.ConnectionLost, f"{method.name} was not answered")
        return reply

    def _call(
        self,
        ask: Callable[[Engine], Expected],
        timeout: float | None,
        port: Port | None = None,
        *,
        again: bool = True,
        then: Callable[[Expected], None] | None = None,
    ) -> Expected:
        line = self._line
        deadline = self.deadline(timeout)
        left = _ATTEMPTS
        while True:
            asking = _Asking(line, ask, port, then)
            try:
                done = turns.wait(line, asking.look, deadline, self.broke)
            except BaseException:
                self._abandon(asking.expected)
                raise
            self.attend()
            if not done or asking.expected is None:
                raise self._abandoned(asking.expected)
            error = asking.expected.error
            if error is None:
                return asking.expected
            left -= 1
            lost = isinstance(error, errors.ConnectionLost) and not line.is_over and left > 0
            if not again or not (lost or self._is_of_a_message(error, port)):
                raise error

    def _is_of_a_message(self, error: Exception, port: Port | None) -> bool:
        """Tell whether a call was cut off because a message had its channel closed, which comes back."""
        if port is None or not port.is_open or not isinstance(error, errors.ChannelError):
            return False
        return error.method == basic.Publish.name

    def _abandoned(self, expected: Expected | None) -> Exception:
        """Give up a call whose time is over; gives the error to raise."""
        line = self._line
        self._abandon(expected)
        what = expected.method.name if expected is not None else "what was asked"
        if line.is_broken:
            text = f"the connection is lost ({line.error}) and could not be replaced before {what} had to be answered"
            return errors.make(errors.Reconnecting, text)
        return errors.make(errors.DeadlineExceeded, f"the broker did not answer {what} in time")

    def _abandon(self, expected: Expected | None) -> None:
        """Have what a call wanted taken back when it is answered."""
        with self._line.lock:
            if expected is not None and not expected.done:
                self._line.abandoned.append(expected)

    def check(self, timeout: float | None = None) -> None:
        """Do one round trip to the broker."""
        expected = self._call(lambda engine: engine.open_channel(reserved=self._line.ports), timeout)
        number = expected.channel
        self._call(lambda engine: engine.close_channel(number), timeout, again=False)

    def note(self, command: Command) -> None:
        """Remember what was carried out, to bring it back after a loss."""
        with self._line.lock:
            self._line.remembered.note(command)

    def report_unconfirmed(self, port: Port) -> None:
        """Let go of what a channel has in flight, and keep that for who is told of it; under the lock."""
        adopt_late(port)
        for each in port.unconfirmed() if port.confirms else []:
            port.fail(each, unconfirmed(each.data, "it was closed before"))
        finish_begun(self._line, port)
        port.window.restart([])
        port.recheck = None
        port.is_mending = False
        port.generation += 1

    def take_ready(self, port: Port, consumer_tag: str | None = None) -> list[Delivery]:
        """Take out what was not handed over; under the lock."""
        line = self._line
        line.ready, port.aside = deque([*port.aside, *line.ready]), []
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

    def close_port(self, port: Port, timeout: float | None = None) -> None:
        """Close a channel, once all that was published on it is confirmed."""
        line = self._line
        if not port.is_open:
            return
        try:
            self.await_confirms(timeout, port)
        finally:
            with line.lock:
                closing = self._give_up_port(port)
            line.tell()
            if closing is not None:
                self._await_close(closing, timeout)

    def _give_up_port(self, port: Port) -> Expected | None:
        """Close a channel for the program, and at the broker; under the lock."""
        line = self._line
        port.shut(None)
        self.take_ready(port)
        self.report_unconfirmed(port)
        if line.ports.get(port.number) is not port:
            return None
        line.remembered.close_channel(port.number)
        del line.ports[port.number]
        engine = line.engine
        if not line.is_open or engine is None or not engine.is_channel_open(port.number):
            return None
        return engine.close_channel(port.number)

    def _await_close(self, closing: Expected, timeout: float | None) -> None:
        line = self._line

        def look() -> bool:
            push(line)
            return closing.done

        if not turns.wait(line, look, self.deadline(timeout), self.broke):
            raise self._abandoned(closing)
        self.attend()
