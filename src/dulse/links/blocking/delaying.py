"""Messages of a blocking link that shall be delivered later: they go by a ladder of queues, declared when needed."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

from dulse import errors
from dulse.amqp.commands import method_for
from dulse.amqp.delays import postponed
from dulse.links.amqp_delays import not_postponed
from dulse.links.blocking.calling import Calling
from dulse.links.blocking.port import Port
from dulse.model.commands import Command
from dulse.model.message import Properties


class Delaying(Calling):
    """The part of `Link` that has messages delivered later; not for use by itself."""

    def postpone(
        self, properties: Properties, exchange: str, routing_key: str, timeout: float | None
    ) -> tuple[Properties, str, float | None]:
        """Give the properties and the exchange by which a message with a delay goes, and the time that is left.

        What is missing of the ladder is declared before, on a channel of its own, so that a refusal closes no other.
        """
        found = postponed(properties, exchange, routing_key)
        if found is None:
            return properties, exchange, timeout
        with self._line.lock:
            ladder = self._line.remembered.ladder
            missing = ladder.missing(found)
        if missing:
            deadline = self.deadline(timeout)
            needed, wanted = missing
            self._declare(needed, deadline)
            with suppress(errors.ChannelError):
                self._declare(wanted, deadline)
            with self._line.lock:
                ladder.learn(found)
            if timeout is not None:
                timeout = max(0.0, deadline - monotonic())
        return found.properties, found.exchange, timeout

    def _declare(self, commands: list[Command], deadline: float) -> None:
        if not commands:
            return
        port = self.port(Port, deadline - monotonic())
        try:
            for each in commands:
                self.call(port, method_for(each), deadline - monotonic())
        except errors.ChannelError as problem:
            raise not_postponed(problem) from problem
        finally:
            self.close_port(port, max(0.0, deadline - monotonic()))
