"""A channel of a virtual transport: what AMQP's basic, exchange and queue classes mean on a store."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.broker.arguments import check_consumer_arguments
from dulse.broker.consumers import decide_consume
from dulse.broker.intake import Consumer, Window
from dulse.broker.ledger import Ledger
from dulse.broker.redelivery import redelivery
from dulse.links.waiting.aio import finished
from dulse.model.commands import Command
from dulse.model.message import Delivery, Outgoing, Properties, Record, Returned
from dulse.model.not_taken import unroutable
from dulse.model.records import Leased, Put
from dulse.transport import OnCancel, OnDelivery, OnReturned
from dulse.virtual.aio.commanding import carry_out
from dulse.virtual.aio.joining import publish_within
from dulse.virtual.marks import Marks
from dulse.virtual.storage import StaleTopology

if TYPE_CHECKING:
    from dulse.virtual.aio.transport import VirtualTransport

_new = tuple.__new__  # half the cost of calling a NamedTuple, on the path of every publish

_CONSUME = "Basic.consume"
_ACK = "Basic.ack"
_REJECT = "Basic.reject"

MOST_PREFETCH = 65535
"""An unsigned short in AMQP (§3.1.5.1)."""

Publish = Callable[[Sequence[Outgoing], float], Awaitable[list[Returned]]]

Held = tuple[Leased, Window | None]
"""A delivery that is not settled: what is leased, and the consumer's window that it counts in (None: basic.get)."""


class VirtualChannel:
    """One channel; made by `VirtualTransport.channel`. Threads (tasks) may share it."""

    def __init__(self, transport: VirtualTransport, number: int) -> None:
        self.number = number
        self.is_open = True
        self.on_returned: OnReturned | None = None
        self._transport = transport
        self._dispatch = transport.dispatch
        self._catalogue = transport.catalogue
        self._settlements = transport.settlements
        self._storage = transport.storage
        self._mutex = transport.mutex
        self._objects = transport.storage.capabilities.objects
        self._seals = not self._objects or transport.dispatch.restrictions.largest is not None
        self.ledger: Ledger[Held] = Ledger()
        self.shared = Window()
        self._limit = 0
        self.unhanded: dict[int, None] = {}
        """The tags of deliveries in the ledger for which nobody has been called yet."""
        self.tags: dict[str, str] = {}
        """The queue of each consumer that the catalogue has of this channel, by tag."""
        self._closed_by = ""
        self._marks = Marks()

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<VirtualChannel {self.number}: {state}, {len(self.tags)} consumers, {self.ledger!r}>"

    # ------------------------------------------------------------------------------------------- publish

    async def publish(
        self,
        body: bytes,
        properties: Properties,
        exchange: str,
        routing_key: str,
        mandatory: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Store one message in every queue it is routed to; see TransportChannel."""
        route = self._dispatch.routes.get((exchange, routing_key))
        if (
            route is None
            or not route.targets
            or not self.is_open
            or mandatory
            or "headers" in properties
            or "expiration" in properties
            or properties.get("priority")
        ):
            await self._publish([Outgoing(body, properties, exchange, routing_key, mandatory)], timeout)
            return
        payload: Any = _new(Record, (exchange, routing_key, properties, body))
        if self._seals:
            payload = self._dispatch.seal(payload)
        puts = (_new(Put, (payload, route.targets, len(body))),)
        pipeline = self._dispatch.pipeline
        if pipeline is not None and not route.is_limited:
            messages = (Outgoing(body, properties, exchange, routing_key),)
            await pipeline.put(puts, route.guards, messages, self._transport.deadline(timeout))
            return
        until = None if timeout is None else time.monotonic() + timeout
        try:
            problems = await self._storage.put(puts, route.guards, until=until)
        except StaleTopology:
            await self._publish([Outgoing(body, properties, exchange, routing_key)], timeout)
            return
        if problems:
            await self._dispatch.settle_problems([Outgoing(body, properties, exchange, routing_key)], problems, until)

    async def publish_many(self, messages: Sequence[Outgoing], timeout: float | None = None) -> None:
        """Store all messages in one step."""
        await self._publish(messages, timeout)

    async def publish_within(self, session: Any, messages: Sequence[Outgoing], timeout: float | None = None) -> None:
        """Store all messages with the caller's own transaction; see TransactionalChannel."""
        await self._publish(messages, timeout, partial(publish_within, self._dispatch, session))

    async def _publish(
        self, messages: Sequence[Outgoing], timeout: float | None, publish: Publish | None = None
    ) -> None:
        self._check_open("Basic.publish")
        until = self._transport.deadline(timeout)
        try:
            returned = await (publish or self._dispatch.publish)(messages, until)
        except errors.ChannelError as refused:
            await self._fail(refused, until)
            raise
        for each in returned:
            await self._give_back(each)

    async def _give_back(self, returned: Returned) -> None:
        if self.on_returned is not None:
            await finished(self.on_returned(returned))
            return
        raise unroutable(returned)

    async def flush(self, timeout: float | None = None) -> None:
        """Write out what was settled, and wait until all that was published is stored; see TransportChannel."""
        await self._transport.flush(timeout)

    # ------------------------------------------------------------------------------------------ topology

    async def execute(self, command: Command, timeout: float | None = None) -> Any:
        """Change the topology; see TransportChannel."""
        self._check_open(type(command).__name__)
        until = self._transport.deadline(timeout)
        try:
            return await carry_out(self._transport, command, until)
        except errors.ChannelError as refused:
            await self._fail(refused, until)
            raise

    # ------------------------------------------------------------------------------------------- consume

    async def consume(
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
        self._check_open(_CONSUME)
        tag = consumer_tag or f"ctag-{os.urandom(16).hex()}"
        claim = partial(
            decide_consume,
            queue=queue,
            consumer_tag=tag,
            owner=self._transport.owner,
            exclusive=exclusive,
            arguments=arguments or {},
        )
        until = self._transport.deadline(timeout)
        try:
            with self._mutex:
                self._transport.roster.check_tag(tag, self)
                # From here on, also where this call is cut short: closing the channel takes the claim back.
                self.tags[tag] = queue
            rules = await self._catalogue.carry_out(claim, until)
        except errors.ChannelError as refused:
            await self._fail(refused, until)
            raise
        consumer = Consumer(
            tag,
            queue,
            self,
            window=Window(self._limit),
            shared=self.shared,
            no_ack=no_ack,
            on_delivery=on_delivery,
            on_cancel=on_cancel,
            priority=check_consumer_arguments(queue, arguments or {}, _CONSUME),
            claim=claim,
        )
        await self._transport.roster.start(consumer, rules, until)
        self._check_open(_CONSUME)
        return tag

    async def cancel(self, consumer_tag: str, timeout: float | None = None) -> None:
        """End a consumer; see TransportChannel."""
        self._check_open("Basic.cancel")
        consumer = self._transport.intake.consumers.get(consumer_tag)
        if consumer is None:
            return
        until = self._transport.deadline(timeout)
        await self._transport.roster.stop(consumer, until)
        await self._transport.roster.disclaim(consumer.tag, consumer.queue, until)
        self.tags.pop(consumer.tag, None)

    async def get(self, queue: str, *, no_ack: bool = False, timeout: float | None = None) -> Delivery | None:
        """Take one message; see TransportChannel."""
        self._check_open("Basic.get")
        until = self._transport.deadline(timeout)
        while True:
            try:
                leased = await self._transport.take(queue, until)
            except errors.ChannelError as refused:
                await self._fail(refused, until)
                raise
            if leased is None:
                return None
            try:
                record = leased.payload if self._objects else self._dispatch.unseal(leased.payload)
            except errors.DecodeError:
                with self._mutex:
                    self._transport.debts.owe([leased], "damaged")
                await self._transport.debts.pay(until)
                continue
            with self._mutex:
                tag = self.ledger.skip() if no_ack else self.ledger.add((leased, None))
                if no_ack:
                    self._settlements.add(leased.token)
            if leased.deliveries > 1:
                return redelivery(tag, leased, record, None)
            return Delivery(tag, False, record.exchange, record.routing_key, record.properties, record.body)

    # -------------------------------------------------------------------------------------------- settle

    def hand_over(self, consumer: Consumer, leased: Leased) -> Delivery:
        """Make the delivery of a picked record; the caller holds the mutex. DecodeError: no message, nothing done."""
        _, _, payload, deliveries, _, _ = leased  # at the price of reading a single field by its name
        record = payload if self._objects else self._dispatch.unseal(payload)
        if consumer.no_ack:
            tag = self.ledger.skip()
        else:
            tag = self.ledger.add((leased, consumer.window))
            self.unhanded[tag] = None
        if deliveries > 1:
            return redelivery(tag, leased, record, consumer.tag)
        exchange, routing_key, properties, body = record
        return Delivery(tag, False, exchange, routing_key, properties, body, consumer.tag)

    async def ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Settle deliveries; see TransportChannel."""
        if not self.is_open:
            self._check_open("Basic.ack")
        try:
            with self._mutex:
                if multiple:
                    taken = self.ledger.take_up_to(delivery_tag, _ACK)
                    self._count_out(taken)
                    for leased, _ in taken:
                        self._settlements.add(leased.token)
                else:  # the same for one, which nearly every message comes by
                    leased, window = self.ledger.take(delivery_tag, _ACK)
                    if window is not None:
                        window.held -= 1
                        self.shared.held -= 1
                    self._settlements.add(leased.token)
        except errors.ChannelError as refused:
            await self._fail(refused, self._transport.deadline(None))
            raise
        if self._transport.is_fetching:
            self._transport.made_room()

    async def reject(self, delivery_tag: int, requeue: bool = False, multiple: bool = False) -> None:
        """Put deliveries back, or dead-letter or drop them; see TransportChannel."""
        self._check_open("Basic.reject")
        try:
            with self._mutex:
                ledger = self.ledger
                taken = ledger.take_up_to(delivery_tag, _REJECT) if multiple else [ledger.take(delivery_tag, _REJECT)]
                self._count_out(taken)
                self._transport.debts.owe([leased for leased, _ in taken], "again" if requeue else "rejected")
        except errors.ChannelError as refused:
            await self._fail(refused, self._transport.deadline(None))
            raise
        await self._transport.debts.pay(self._transport.deadline(None))
        self._transport.made_room()

    def _count_out(self, taken: Sequence[Held]) -> None:
        for _, window in taken:
            if window is not None:
                window.held -= 1
                self.shared.held -= 1

    async def recover(self, requeue: bool = True, timeout: float | None = None) -> None:
        """Give back all that is not settled; see TransportChannel."""
        self._check_open("Basic.recover")
        if not requeue:
            text = "recover(requeue=False) is not implemented by RabbitMQ either: use requeue=True"
            raise errors.make(errors.NotSupported, text)
        self._owe_everything()
        await self._transport.debts.pay(self._transport.deadline(timeout))
        self._transport.made_room()

    def _owe_everything(self) -> None:
        with self._mutex:
            taken = self.ledger.take_all()
            self._count_out(taken)
            self._transport.debts.owe([leased for leased, _ in taken], "again")

    # ------------------------------------------------------------------------------------------- control

    async def prefetch(self, count: int, *, shared: bool = False) -> None:
        """Bound what is delivered and not settled; see TransportChannel."""
        self._check_open("Basic.qos")
        if not isinstance(count, int) or not 0 <= count <= MOST_PREFETCH:
            text = f"prefetch count {count!r} is out of range: a whole number from 0 (no bound) to {MOST_PREFETCH}"
            raise errors.make(errors.InvalidArgument, text)
        with self._mutex:
            if shared:
                self.shared.limit = count
            else:
                self._limit = count
        self._transport.made_room()

    async def flow(self, active: bool) -> None:
        """Pause or resume deliveries on this channel."""
        self._check_open("Channel.flow")
        with self._mutex:
            self.shared.flowing = active
        self._transport.made_room()

    async def close(self, timeout: float | None = None) -> None:
        """End the consumers and give back what was not settled; a closed channel stays closed."""
        await self.end(self._transport.deadline(timeout))

    async def end(self, until: float) -> None:
        """Close as `close` does, by a time of time.monotonic()."""
        if self.is_open or self.tags:
            await self._end("closed by this program", until)

    def discard(self) -> None:
        """Be closed, without telling the store."""
        self.is_open = False
        self._closed_by = "the connection was discarded (as after a fork)"

    async def _fail(self, refused: Exception, until: float) -> None:
        await self._end(f"closed by the broker: {refused}", until)

    async def _end(self, reason: str, until: float) -> None:
        self.is_open = False
        self._closed_by = self._closed_by or reason
        transport = self._transport
        with self._mutex:
            # Before anything can fail or be cancelled: nobody is handed anything any more.
            for tag in self.tags:
                transport.debts.owe(transport.intake.remove(tag), "unhanded")
            self._owe_everything()
        await transport.debts.pay(until)
        for tag, queue in list(self.tags.items()):
            await transport.roster.disclaim(tag, queue, until)
            self.tags.pop(tag, None)  # unless somebody who was cancelling it has come first
        transport.channels.pop(self.number, None)
        transport.made_room()

    async def end_if_held_longer(self, seconds: float, now: float) -> None:
        """Close this channel if a delivery has been held for so long, as RabbitMQ does by consumer_timeout."""
        with self._mutex:
            oldest = self._marks.overdue(self.ledger, seconds, now)
        if oldest is not None:
            text = f"delivery {oldest} was not settled within {seconds} seconds (option max_hold)"
            refused = errors.make(errors.PreconditionFailed, text, method="Basic.deliver")
            await self._fail(refused, self._transport.deadline(None))

    def forget_consumer(self, tag: str) -> None:
        """Know that the broker has ended this consumer; called by the transport."""
        self.tags.pop(tag, None)

    def _check_open(self, method: str) -> None:
        if not self.is_open:
            text = f"channel {self.number} was {self._closed_by}: open another"
            raise errors.make(errors.ChannelClosed, text, method=method)
