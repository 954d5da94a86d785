"""How a new connection of a blocking link is made what the lost one was."""

from __future__ import annotations

import socket
from time import monotonic

from dulse import errors
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.events import Event, Told
from dulse.amqp.methods import basic
from dulse.amqp.recovery import NotRestored, Step, ask, restoration
from dulse.links.blocking.line import Line
from dulse.links.blocking.stream import READ_SIZE


class Restoring:
    """Goes through the steps that make a new connection what the lost one was, before anybody else uses it."""

    def __init__(self, connected: socket.socket, engine: Engine, deadline: float) -> None:
        self._socket = connected
        self._engine = engine
        self._deadline = deadline
        self.kept: list[Event] = []
        """What came meanwhile for others."""
        self.numbers: list[int] = []
        """The channels that are opened."""

    def restore(self, line: Line) -> list[NotRestored]:
        """Do it, and give what the broker refused; raises what is worth another connection."""
        with line.lock:
            steps = restoration(line.remembered)
            self.numbers = list(line.remembered.channels)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._do(step))
        except StopIteration as done:
            refused: list[NotRestored] = done.value
            return refused

    def _do(self, step: Step) -> Exception | None:
        expected = ask(self._engine, step)
        while not expected.done:
            try:
                self._socket.settimeout(max(0.001, self._deadline - monotonic()))
                self._socket.sendall(self._engine.data_to_send())
                data = self._socket.recv(READ_SIZE)
            except TimeoutError as late:
                text = f"the broker did not answer {step.method.name} on channel {step.channel} in time"
                raise errors.make(errors.DeadlineExceeded, text) from late
            if not data:
                raise errors.make(errors.ConnectionLost, "the connection was lost again while it was being restored")
            self.kept += [
                each
                for each in self._engine.receive(data)
                if isinstance(each, Delivery) or (isinstance(each, Told) and isinstance(each.method, basic.Cancel))
            ]
        if isinstance(expected.error, errors.ConnectionError):
            raise expected.error
        return expected.error
