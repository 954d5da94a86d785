"""The consumers of one transport: who takes part in deliveries, and that the catalogue knows them."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from dulse import errors
from dulse.broker.catalogue import Decision, View, consumers_group
from dulse.broker.consumers import active_consumer, decide_cancel
from dulse.broker.definitions import consumer_field
from dulse.broker.intake import Consumer
from dulse.broker.rules import QueueRules

if TYPE_CHECKING:
    from dulse.virtual.aio.channel import VirtualChannel
    from dulse.virtual.aio.transport import VirtualTransport


class Roster:
    """Starts and ends consumers. Holds nothing of its own: they are in the transport's intake."""

    def __init__(self, transport: VirtualTransport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"<Roster of {len(self._transport.intake.consumers)} consumers>"

    def check_tag(self, tag: str, channel: VirtualChannel) -> None:
        """Raise NotAllowed for a consumer tag that is in use on this connection; the caller holds the mutex."""
        transport = self._transport
        others = (other for other in transport.channels.values() if other is not channel)
        if tag in transport.intake.consumers or any(tag in other.tags for other in others):
            text = f"consumer tag {tag!r} is in use on this connection: choose another"
            raise errors.make(errors.NotAllowed, text, method="Basic.consume")

    async def start(self, consumer: Consumer, rules: QueueRules, until: float | None = None) -> None:
        """Let a consumer take part in deliveries, unless its channel was closed while it was claimed."""
        transport = self._transport
        consumer.active = not rules.single_active_consumer
        with transport.mutex:
            is_open = consumer.channel.is_open
            if is_open:
                transport.intake.add(consumer, rules)
        if not is_open:
            await self.disclaim(consumer.tag, consumer.queue, until)
            return
        if rules.single_active_consumer:
            await self.activate(consumer.queue, until)
        transport.made_room()

    async def stop(self, consumer: Consumer, until: float | None = None) -> None:
        """Let a consumer take no part any more; what it was handed stays to be settled."""
        transport = self._transport
        with transport.mutex:
            transport.debts.owe(transport.intake.remove(consumer.tag), "unhanded")
        await transport.debts.pay(until)

    async def disclaim(self, tag: str, queue: str, until: float | None = None) -> None:
        """Have the catalogue know a consumer no longer."""
        transport = self._transport
        decide = partial(decide_cancel, queue=queue, consumer_tag=tag, owner=transport.owner)
        with suppress(errors.ConnectionClosed):  # which makes it know none of ours
            await transport.catalogue.carry_out(decide, until)

    def end_all_of(self, queue: str) -> None:
        """End the consumers of a queue that is gone; the next drains tell them (consumer cancel notification)."""
        for consumer in self._transport.intake.of_queue(queue):
            self._end(consumer)
        self._transport.made_room()

    def _end(self, consumer: Consumer) -> None:
        transport = self._transport
        with transport.mutex:
            transport.debts.owe(transport.intake.remove(consumer.tag), "unhanded")
            transport.tell_end(consumer)
        consumer.channel.forget_consumer(consumer.tag)

    async def claim_again(self, queue: str, until: float | None = None) -> None:
        """Enter our consumers of a queue into a catalogue that has lost them, or end those who may not be there."""
        for consumer in self._transport.intake.of_queue(queue):
            try:
                await self._claim_again(consumer, until)
            except errors.ChannelError:
                self._end(consumer)
        self._transport.made_room()

    async def _claim_again(self, consumer: Consumer, until: float | None) -> None:
        field = consumer_field(self._transport.owner, consumer.tag)

        def decide(view: View) -> Decision:
            if field in view.group(consumers_group(consumer.queue)).values:
                return Decision(None)
            decision: Decision = consumer.claim(view)
            return decision

        await self._transport.catalogue.carry_out(decide, until)

    async def activate(self, queue: str, until: float | None = None) -> None:
        """Find out which of our consumers of a queue is the single active one; what the others wait with goes back."""
        transport = self._transport
        active = await transport.catalogue.carry_out(lambda view: Decision(None, active_consumer(view, queue)), until)
        with transport.mutex:
            for consumer in transport.intake.of_queue(queue):
                consumer.active = active is not None and (active.owner, active.tag) == (transport.owner, consumer.tag)
            transport.debts.owe(transport.intake.idle(queue), "unhanded")
        await transport.debts.pay(until)
        transport.made_room()
