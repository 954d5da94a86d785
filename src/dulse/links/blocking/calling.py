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
from dulse.links.blocking import turns
from dulse.links.blocking.port import Port, describe
from dulse.links.blocking.publishing import Publishing
from dulse.links.blocking.sending import push, write_acks
from dulse.model.commands import Command

if TYPE_CHECKING:
    from dulse.links.blocking.link import Link

Made = TypeVar("Made", bound=Port)


class Calling(Publishing):
    """The part of `Link` that opens channels and calls; not for use by itself."""

    def port(self, kind: type[Made], timeout: float | None = None) -> Made:
        """Open a channel, of Port or a subclass."""
        line = self._line
        expected = self._call(lambda engine: engine.open_channel(), timeout)
        with line.lock:
            writer = line.need_engine().writer(expected.channel)
            port = line.ports[expected.channel] = kind(cast("Link", self), line, expected.channel, writer)
            line.remembered.open_channel(port.number, confirms=port.confirms)
        if port.confirms:
            self.call(port, confirm.Select(), timeout)
        return port

    def call(self, port: Port, method: Method, timeout: float | None = None) -> Method | Delivery:
        """Call a method of a channel and give the reply; raises what the broker says against it.

        Where a lost link cuts the call off, it is made again if that does no harm, else ConnectionLost is raised.
        """

        def ask(engine: Engine) -> Expected:
            port.check_open()
            return engine.call(port.number, method)

        reply = self._call(ask, timeout, port, again=may_repeat(method)).reply
        if reply is None:
            raise errors.make(errors.ConnectionLost, f"{method.name} was not answered")
        return reply

    def _call(
        self, ask: Callable[[Engine], Expected], timeout: float | None, port: Port | None = None, *, again: bool = True
    ) -> Expected:
        line = self._line
        deadline = self.deadline(timeout)
        while True:
            asked: list[Expected] = []

            def look(asked: list[Expected] = asked) -> bool:
                if asked:
                    return asked[0].done
                if port is not None:
                    port.check_open()
                if line.is_over:
                    raise line.why_not()
                if line.is_broken or (port is not None and not port.is_ready):
                    return False
                write_acks(line)
                asked.append(ask(line.need_engine()))
                push(line)
                return False

            done = turns.wait(line, look, deadline, self.broke)
            self.attend()
            if not done:
                self._abandon(asked, deadline)
            expected = asked[0]
            if expected.error is None:
                return expected
            if not (again and isinstance(expected.error, errors.ConnectionLost) and line.is_broken):
                raise expected.error

    def _abandon(self, asked: list[Expected], deadline: float) -> None:
        line = self._line
        with line.lock:
            line.abandoned.extend(each for each in asked if not each.done)
        what = asked[0].method.name if asked else "what was asked"
        if line.is_broken:
            text = f"the connection is lost ({line.error}) and could not be replaced before {what} had to be answered"
            raise errors.make(errors.ConnectionLost, text)
        raise errors.make(errors.DeadlineExceeded, f"the broker did not answer {what} in time")

    def check(self, timeout: float | None = None) -> None:
        """Do one round trip to the broker."""
        expected = self._call(lambda engine: engine.open_channel(), timeout)
        number = expected.channel
        self._call(lambda engine: engine.close_channel(number), timeout, again=False)

    def note(self, command: Command) -> None:
        """Remember what was carried out, to bring it back after a loss."""
        with self._line.lock:
            self._line.remembered.note(command)

    def prefetch(self, port: Port, count: int, *, shared: bool, timeout: float | None = None) -> None:
        """Bound what is delivered and not settled."""
        self.call(port, basic.Qos(prefetch_count=count, global_=shared), timeout)
        with self._line.lock:
            self._line.remembered.prefetch(port.number, count, shared=shared)

    def report_unconfirmed(self, port: Port) -> None:
        """Let go of what a channel has in flight, and keep that for who is told of it; under the lock."""
        for each in port.window.unconfirmed() if port.confirms else []:
            text = "a message was sent, and the connection was closed before the broker had confirmed it"
            port.fail(each, errors.make(errors.Unconfirmed, text, message=describe(each.data)))
        port.window.restart([])

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
            self.flush(timeout, port)
        finally:
            with line.lock:
                ready, engine = port.is_ready, line.engine
                port.shut(None)
                self.take_ready(port)
                line.remembered.close_channel(port.number)
                line.ports.pop(port.number, None)
                self.report_unconfirmed(port)
            if ready and engine is line.engine and line.is_open:
                self._call(lambda engine: engine.close_channel(port.number), timeout, again=False)
