"""A channel of the AMQP transport: what the front ends ask for, in the words of AMQP's methods."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dulse import errors
from dulse.amqp.commands import method_for, named, reply_of
from dulse.amqp.methods import basic
from dulse.links.asynchronous.port import Port
from dulse.model.commands import Command, DeclareQueue
from dulse.model.message import Delivery
from dulse.transport import OnCancel, OnDelivery

MOST_PREFETCH = 65535
"""An unsigned short in AMQP (§3.1.5.1)."""


class AmqpChannel(Port):
    """One channel: what Port leaves over. Made by `AmqpTransport.channel`; threads (tasks) may share it."""

    # ------------------------------------------------------------------------------------------ topology

    async def execute(self, command: Command, timeout: float | None = None) -> Any:
        """Change the topology; see TransportChannel."""
        if isinstance(command, DeclareQueue):
            command = named(command, os.urandom(16).hex())
        reply = reply_of(await self.link.call(self, method_for(command), timeout))
        self.link.note(command)
        return reply

    # ------------------------------------------------------------------------------------------- consume

    async def consume(  # noqa: PLR0913 - the contract's
        self,
        queue: str,
        on_delivery: OnDelivery,
        *,
        consumer_tag: str = "",
        no_ack: bool = False,
        exclusive: bool = False,
        arguments: Mapping[str, Any] | None = None,
        on_cancel: OnCancel | None = None,
        timeout: float | None = None,
    ) -> str:
        """Start a consumer; see TransportChannel."""
        method = basic.Consume(
            queue=queue,
            consumer_tag=consumer_tag or f"ctag-{os.urandom(16).hex()}",
            no_ack=no_ack,
            exclusive=exclusive,
            arguments=arguments or {},
        )
        await self.link.consume(self, method, on_delivery, on_cancel, timeout)
        return method.consumer_tag

    async def cancel(self, consumer_tag: str, timeout: float | None = None) -> None:
        """End a consumer; see TransportChannel."""
        await self.link.cancel(self, consumer_tag, timeout)

    async def get(self, queue: str, *, no_ack: bool = False, timeout: float | None = None) -> Delivery | None:
        """Take one message; see TransportChannel."""
        return await self.link.get(self, queue, no_ack=no_ack, timeout=timeout)

    async def recover(self, requeue: bool = True, timeout: float | None = None) -> None:
        """Give back all that is not settled; see TransportChannel."""
        if not requeue:
            text = "recover(requeue=False) is not implemented by RabbitMQ: use requeue=True"
            raise errors.make(errors.NotSupported, text)
        await self.link.recover(self, timeout)

    # ------------------------------------------------------------------------------------------- control

    async def prefetch(self, count: int, *, shared: bool = False) -> None:
        """Bound what is delivered and not settled; see TransportChannel."""
        if not isinstance(count, int) or not 0 <= count <= MOST_PREFETCH:
            text = f"prefetch count {count!r} is out of range: a whole number from 0 (no bound) to {MOST_PREFETCH}"
            raise errors.make(errors.InvalidArgument, text)
        await self.link.prefetch(self, count, shared=shared)

    async def flow(self, active: bool) -> None:
        """Pause or resume deliveries on this channel."""
        await self.link.set_flow(self, active)

    async def close(self, timeout: float | None = None) -> None:
        """End the consumers and give back what was not settled."""
        await self.link.close_port(self, timeout)
