"""A blocking link to an AMQP broker, which lives through lost connections. Threads may share it."""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from dulse import errors
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.life import Action, Deed, Happening, closing
from dulse.amqp.messages import Writer, written_anew
from dulse.amqp.states import State
from dulse.links.amqp_setup import LinkSetup
from dulse.links.blocking import turns
from dulse.links.blocking.beacon import Beacon
from dulse.links.blocking.delivering import Delivering
from dulse.links.blocking.handshake import shake_hands
from dulse.links.blocking.line import Line
from dulse.links.blocking.mending import Mender
from dulse.links.blocking.port import Port
from dulse.links.blocking.sending import adopt_late, finish_begun, forget_sent, push
from dulse.links.blocking.stream import Stream
from dulse.links.blocking.tending import Tending
from dulse.links.keeper import keeper
from dulse.links.waiting.sync import spawn

Opened = TypeVar("Opened", bound=Port)

_logger = logging.getLogger(__name__)

_HOLD = 0.002
"""Seconds for which finished deliveries may be collected while more are handed over."""


class Link(Delivering):
    """One connection after the other to the destinations of its setup."""

    def __init__(self, setup: LinkSetup) -> None:
        super().__init__(Line(setup))
        self._setup = setup
        self._tending: Tending | None = None
        self._mender = Mender(self._line, self.broke, self.report)

    def __repr__(self) -> str:
        return f"<Link {self._line!r}>"

    # ------------------------------------------------------------------------------------------- life

    @property
    def is_open(self) -> bool:
        """Whether it can be used, or is being replaced."""
        return not self._line.is_over

    def open(self, timeout: float) -> None:
        """Connect and log in within so many seconds."""
        connected, engine = self._connect(monotonic() + timeout)
        line = self._line
        with line.lock:
            if Action.LEAVE in line.turn(Happening.OPENED):
                connected.close()
                raise line.why_not()
            line.stream = Stream(connected)
            line.send = line.stream.send
            line.engine, line.frame_max = engine, engine.frame_max
        self._tending = Tending(self, line)
        line.call_keeper = self._call_keeper
        keeper().add(self._tending)

    def _connect(self, deadline: float) -> tuple[socket.socket, Engine]:
        own = self._setup.destinations[: self._setup.own]
        for index, destination in enumerate(own):
            left = deadline - monotonic()
            try:
                return shake_hands(destination, monotonic() + left / (len(own) - index))
            except errors.OperationalError as failure:
                _logger.debug("%s: %s", destination.place, failure)
                if index == len(own) - 1:
                    raise
        raise errors.make(errors.InvalidArgument, "no broker was named to connect to")

    def _call_keeper(self) -> None:
        if self._tending is not None:
            self._tending.wake()
            keeper().hint(self._tending)

    def close(self, timeout: float | None = None) -> None:
        """Send and await what is outstanding, say goodbye, and let go. Raises what the broker did not take."""
        deadline = self.deadline(timeout)
        try:
            if self.is_open:
                self.await_confirms(deadline - monotonic())
        except errors.OperationalError as late:
            _logger.debug("%r is closed before all was confirmed: %s", self, late)
        finally:
            try:
                self._say_goodbye(deadline)
            finally:
                self._let_go()
        self.report()
        self.raise_problems(None)

    def _say_goodbye(self, deadline: float) -> None:
        line = self._line
        with line.lock:
            if not line.is_open or line.engine is None or line.engine.closed:
                return
            expected = line.engine.close()

        def look() -> bool:
            push(line)
            return expected.done or not line.is_open

        turns.wait(line, look, deadline, self.broke)

    def _let_go(self) -> None:
        line = self._line
        with line.lock:
            stream, line.stream = line.stream, None
            reports = Action.REPORT in line.turn(Happening.CLOSE)
            for port in line.ports.values():
                if reports:
                    self.report_unconfirmed(port)
                port.shut(None)
            line.ports = {}
            line.ready = deque()
        if self._tending is not None:
            keeper().remove(self._tending)
            self._tending = None
        if stream is not None:
            stream.close()
        line.tell()
        if line.beacon is not None:
            line.beacon.close()
            line.beacon = None

    def broke(self, problem: Exception) -> None:
        """Notice that the connection is lost; called without the lock, by whoever met the error."""
        line = self._line
        with line.lock:
            engine = line.engine
            line.failure = None
            if not line.is_open or engine is None:
                return
            is_wanted = engine.state is not State.CLOSING and line.setup.reconnect_timeout != 0
            self._end_ports()
            line.error = problem
            actions = line.turn(Happening.LOST if is_wanted else Happening.ENDED)
            stream = self._forget(engine, problem) if Action.FORGET in actions else None
            if Action.REPORT in actions:
                self._mender.report(problem)
        if stream is not None:
            stream.close()
        line.tell()
        if Action.CONNECT in actions:
            self._mend()
        if Action.REPORT in actions:
            self.report()

    def _forget(self, engine: Engine, problem: Exception) -> Stream | None:
        """Let go of what a lost connection had; under the lock. Gives what has to be closed without it."""
        line = self._line
        engine.lost(errors.make(errors.ConnectionLost, f"the connection was lost: {problem}"))
        stream, line.stream = line.stream, None
        forget_sent(line)
        line.tail, line.tail_sent, line.stuck, line.acked, line.abandoned = [], [], None, [], []
        line.is_drained = False
        line.spend()
        for port in line.ports.values():
            port.lose()
        line.ready = deque(each for each in line.ready if not isinstance(each, Delivery))
        return stream

    def _mend(self) -> None:
        """Have a thread mend what is broken, if there is none at it."""
        line = self._line
        with line.lock:
            if line.is_mending or not (line.is_broken or line.broken_ports):
                return
            line.is_mending = True
        try:
            spawn(self._mender.run, "dulse-mender")
        except RuntimeError as problem:
            line.is_mending = False
            text = f"no thread could be started to connect again ({problem}): end some threads"
            self._mender.give_up(errors.make(errors.ConnectionLost, text))

    def fileno(self) -> int:
        """Give a descriptor for a foreign event loop; it is readable when `drain` may have something to hand over.

        The same through lost connections, until `close`. When it is readable, drain with a timeout of 0 until that
        raises DeadlineExceeded. NotSupported where the system has no epoll.
        """
        line = self._line
        with line.lock:
            if line.beacon is None:
                line.need_engine()
                beacon = Beacon()
                if line.stream is not None:
                    beacon.watch(line.stream.fileno())
                beacon.set()
                line.beacon = beacon
            return line.beacon.fileno()

    def discard(self) -> None:
        """Forget everything without a byte to the broker: called in a forked child."""
        if self._line.beacon is not None:
            self._line.beacon.close()
        stream, ports = self._line.stream, list(self._line.ports.values())
        if Action.RESET in self._line.turn(Happening.FORKED):
            self._line.forget()
        self._tending = None
        for port in ports:
            port.shut(None)
        if stream is not None:
            stream.drop()

    # ------------------------------------------------------------------------------------------- what comes up

    def attend(self) -> None:
        """Do what came up while others were busy: channels that the broker closed, messages it did not take."""
        line = self._line
        if line.endings and not turns.is_nested(line):
            with line.lock:
                self._end_ports()
            self._mend()
            line.tell()
        if line.problems:
            self.report()
        while line.notices:
            self._notify(line.notices.popleft())

    def _notify(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            _logger.exception("%r failed", callback)

    def _end_ports(self) -> None:
        """Attend to the channels that the broker has closed, but for those being mended; under the lock."""
        line = self._line
        for each in [each for each in line.endings if not each[0].is_mending]:
            line.endings.remove(each)
            self._end_port(*each)

    def refuse(self, port: Port, problem: Exception) -> None:
        """Close a channel because of the caller's mistake, as the broker would; called under the lock."""
        line = self._line
        if line.inside:  # in a signal handler, which struck where this cannot be done
            port.is_ready = False
            line.endings.append((port, problem))
        elif port.is_mending:
            self.take_ready(port)
            port.shut(problem)
            port.refuge_of = port  # its messages go on being looked through
            for tag in list(line.remembered.channels[port.number].consumers):
                line.remembered.cancel(port.number, tag)
        else:
            self._end_port(port, problem)
            self._mend()

    def _end_port(self, port: Port, problem: Exception) -> None:
        """Attend to a channel that the broker has closed, or that a mistake has to close; under the lock."""
        line = self._line
        self.take_ready(port)
        deeds = port.turn(closing(problem, len(port.window) if port.confirms else 0))
        if not deeds:
            return
        port.lose()
        if Deed.SHUT in deeds:
            line.remembered.close_channel(port.number)
            line.ports.pop(port.number, None)
            port.shut(problem)
            if line.is_open and line.engine is not None and line.engine.is_channel_open(port.number):
                line.engine.close_channel(port.number)
        if Deed.MOVE in deeds:
            adopt_late(port)
            if not port.window.entries or line.engine is None or not line.is_open:
                return
            port = self._refuge(port)
        port.hold()
        line.broken_ports.append((port, problem))

    def _refuge(self, port: Port) -> Port:
        """Make a private channel for the unconfirmed messages of one that was closed for its user; under the lock."""
        line = self._line
        engine = line.need_engine()
        free = (each for each in range(engine.channel_max or 65535, 0, -1) if not engine.is_channel_open(each))
        number = next(each for each in free if each not in line.ports)
        refuge = line.ports[number] = Port(self, line, number, Writer(number, line.frame_max))
        refuge.refuge_of = port
        line.remembered.open_channel(number, confirms=True)
        moved = [
            each._replace(data=written_anew(each.data, number, line.frame_max)) for each in port.window.unconfirmed()
        ]
        refuge.window.restart(moved)
        finish_begun(line, port)
        port.window.restart([])
        port.generation += 1
        return refuge
