"""Messages of an asyncio link that shall be delivered later: they go by a ladder of queues, declared when needed."""

from __future__ import annotations

from contextlib import suppress

from dulse import errors
from dulse.amqp.commands import method_for
from dulse.amqp.delays import postponed
from dulse.links.amqp_delays import not_postponed
from dulse.links.asynchronous.calling import Calling
from dulse.links.asynchronous.port import Port
from dulse.model.commands import Command
from dulse.model.message import Properties


class Delaying(Calling):
    """The part of a Link that has messages delivered later."""

    async def postpone(
        self, properties: Properties, exchange: str, routing_key: str, deadline: float
    ) -> tuple[Properties, str]:
        """Give the properties and the exchange by which a message with a delay goes.

        What is missing of the ladder is declared before, on a channel of its own, so that a refusal closes no other.
        """
        found = postponed(properties, exchange, routing_key)
        if found is None:
            return properties, exchange
        ladder = self.remembered.ladder
        if missing := ladder.missing(found):
            needed, wanted = missing
            await self._declare(needed, deadline)
            with suppress(errors.ChannelError):
                await self._declare(wanted, deadline)
            ladder.learn(found)
        return found.properties, found.exchange

    async def _declare(self, commands: list[Command], deadline: float) -> None:
        if not commands:
            return
        port = await self.port(Port, deadline - self.loop.time(), private=True)
        try:
            for each in commands:
                await self.call(port, method_for(each), deadline - self.loop.time())
        except errors.ChannelError as problem:
            raise not_postponed(problem) from problem
        finally:
            await self.close_port(port, max(0.0, deadline - self.loop.time()))
