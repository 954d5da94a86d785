"""One channel of an asyncio link: publishing and acknowledging, and what is in flight on it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.amqp.acknowledging import Acknowledgements
from dulse.amqp.confirms import COST, Unconfirmed, Window
from dulse.amqp.delivery import Delivery
from dulse.amqp.life import CHANNEL, Deed, Standing, Turn
from dulse.amqp.messages import Writer
from dulse.amqp.methods import basic
from dulse.amqp.recheck import Recheck
from dulse.links.amqp_consumer import Consumer
from dulse.links.amqp_problems import no_channel, raise_first
from dulse.links.asynchronous.core import logger, wake
from dulse.links.asynchronous.wire import MOST_COLLECTED, Wire
from dulse.model.message import Outgoing, Properties, Returned
from dulse.model.not_taken import unroutable

if TYPE_CHECKING:
    from dulse.links.asynchronous.link import Link

_UNBOUNDED = 1 << 60
_LARGE = 32768
"""Bytes of a message that is sent without waiting for the end of the turn."""


class Port:
    """A channel. Made by `Link.port`; tasks may share it.

    A delivery's tag is the broker's plus `offset`: the broker counts from 1 on each connection, and what was delivered
    on the one before must not be mistaken.
    """

    def __init__(self, link: Link, number: int) -> None:
        setup = link.setup
        self.number = number
        self.link = link
        self.is_open = True
        self.closed_by: Exception | None = None
        self.on_returned: Callable[[Returned], Any] | None = None
        self.consumers: dict[str, Consumer] = {}
        self.confirms = setup.confirms
        self.window = Window(setup.window_messages, setup.window_bytes)
        self.recheck: Recheck | None = None
        """Sends the window again in trials; publishers wait."""
        self.reopening: Exception | None = None
        """Why the broker closed the channel of a trial."""
        self.acks = Acknowledgements(number)
        self.offset = 0
        self.strays: dict[str, deque[Delivery]] = {}
        """By queue: what was got without acknowledgement by a call that was cancelled."""
        self.is_paused = False
        self.limit = 0
        """How much of this channel may be handed out and not settled; 0: no bound, or the broker's."""
        self.held: list[Delivery] | None = None
        """Deliveries that wait while the flow is paused, or for room; None: nothing holds them."""
        self._waits = setup.waits_for_confirms and setup.confirms
        self._expecting: dict[asyncio.Future[None], tuple[str, str, bytes]] = {}
        """Mandatory messages that are raised for if they come back."""
        self._room = 0
        """Bytes, with COST of each message, that may be published at once; negative: not now."""
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._is_acking = False
        self.has_settled = False
        """Acknowledgements were sent, and no answer since shows that the broker has taken them."""
        self.is_bare = False
        """The channel was opened again without its consumers."""
        self.refuge_of: Port | None = None
        """It is here only to send again what was published on this one, which the program has had closed."""
        self._writer: Writer
        self._wire: Wire
        self.frame_max = 0

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Port {self.number}: {state}, {self.unconfirmed} unconfirmed, {len(self.consumers)} consumers>"

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
        """Send a message; it goes out at the end of this turn of the loop, and will be confirmed, or be told of.

        Where it waits for the confirm (always, for a mandatory message without a listener) and is cancelled, the
        message stays on its way.
        """
        to = exchange
        if "headers" in properties and "x-delay" in (properties["headers"] or ()):
            properties, to = await self.link.postpone(properties, exchange, routing_key, self.link.deadline(timeout))
        data = self._writer.write(body, properties, to, routing_key, mandatory)
        room = self._room - len(data) - COST
        if room < 0:
            deadline = self.link.deadline(self.link.setup.write_timeout if timeout is None else timeout)
            await self._wait_for_room(len(data), deadline, patient=timeout is None)
            data = self._writer.write(body, properties, to, routing_key, mandatory)
            room = self._room - len(data) - COST
        self._room = room
        out = self._wire.out
        out.append(data)
        if self.confirms:
            self.window.entries.append(data)
        if len(out) >= MOST_COLLECTED or len(data) >= _LARGE:
            self._wire.send_out()
        elif not self._wire.is_scheduled:
            self._wire.send_soon()
        if self._waits or mandatory:
            answer = self._answer(body, exchange, routing_key, mandatory, timeout)
            if answer is not None:
                await self._confirmed(answer, timeout)

    async def publish_many(self, messages: Sequence[Outgoing], timeout: float | None = None) -> None:
        """Send messages in order, many in one send."""
        deadline = self.link.deadline(timeout)
        answers: deque[asyncio.Future[None]] = deque()
        problems: list[Exception] = []
        try:
            for each in messages:
                await self._put(each, deadline, patient=timeout is None)
                left = deadline - self.link.loop.time()
                answer = self._answer(each.body, each.exchange, each.routing_key, each.mandatory, left)
                if answer is not None:
                    answers.append(answer)
            while answers:
                try:
                    await self._confirmed(answers.popleft(), deadline - self.link.loop.time())
                except errors.DulseError as problem:
                    problems.append(problem)
        finally:
            self.link.leave(answers)
        raise_first(problems)

    async def _put(self, message: Outgoing, deadline: float, *, patient: bool) -> None:
        body, properties, exchange, routing_key, mandatory = message
        if "x-delay" in (properties.get("headers") or ()):
            properties, exchange = await self.link.postpone(properties, exchange, routing_key, deadline)
        data = self._writer.write(body, properties, exchange, routing_key, mandatory)
        if self._room - len(data) - COST < 0:
            await self._wait_for_room(len(data), deadline, patient=patient)
            data = self._writer.write(body, properties, exchange, routing_key, mandatory)
        self._room -= len(data) + COST
        self._wire.out.append(data)
        if self.confirms:
            self.window.entries.append(data)
        if len(self._wire.out) >= MOST_COLLECTED or len(data) >= _LARGE:
            self._wire.send_out()
        else:
            self._wire.send_soon()

    def _answer(
        self, body: bytes, exchange: str, routing_key: str, mandatory: bool, timeout: float | None
    ) -> asyncio.Future[None] | None:
        """Give what the broker's answer for the message sent last will complete, if it is to be awaited."""
        raises = mandatory and self.on_returned is None
        if not self.confirms or not (self._waits or raises):
            return None
        link = self.link
        answer: asyncio.Future[None] = link.loop.create_future()
        window = self.window
        window.tokens[window.base + len(window.entries) - 1] = (answer, link.late_after(timeout))
        if raises:
            self._expecting[answer] = (exchange, routing_key, body)
            answer.add_done_callback(self._expecting.pop)
        return answer

    async def _confirmed(self, answer: asyncio.Future[None], timeout: float | None) -> None:
        link = self.link
        if self._wire.is_paused:
            link.look()
        link.waits += 1
        try:
            await answer
        except TimeoutError:
            seconds = link.setup.timeout if timeout is None else timeout
            text = f"the broker has not confirmed a message within {seconds:g} s; it is still on its way"
            raise errors.make(errors.DeadlineExceeded, text) from None
        finally:
            link.waits -= 1

    def expire(self, now: float) -> bool:
        """End the waiting for confirms that are late; True: more is awaited."""
        awaited = [*self.window.tokens.values()]
        if self.recheck is not None:
            awaited += [each.token for each in self.recheck.remaining() if each.token is not None]
        token: Any
        for token in awaited:
            answer, deadline = token
            if deadline <= now and not answer.done():
                answer.set_exception(TimeoutError())
        return bool(awaited)

    def take_returned(self, returned: Returned) -> None:
        """Give a message that came back to who waits for it, or to the listener."""
        if self.on_returned is not None:
            self.link.returns.append((self.on_returned, returned))
            self.link.wake_drainer()
            return
        error = unroutable(returned)
        came = returned.exchange, returned.routing_key, returned.body
        for answer, message in self._expecting.items():
            if message == came and not answer.done():
                answer.set_exception(error)
                return
        self.link.problems.append(error)
        logger.error("a message came back and nobody waits for it: %s", error)

    # ---------------------------------------------------------------------------------------------- room

    @property
    def unconfirmed(self) -> int:
        """How many messages the broker has not answered for."""
        return len(self.window) + (len(self.recheck.remaining()) if self.recheck is not None else 0)

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for room."""
        return bool(self._waiters)

    def bar(self) -> None:
        """Have publishers wait."""
        self._room = -1

    def grant(self) -> None:
        """Let publishers go on, as far as there is room."""
        link = self.link
        if self.recheck is not None or not self.is_open or not link.takes_messages:
            self._room = -1
            return
        window = self.window
        self._room = window.room() if self.confirms else _UNBOUNDED
        if self._waiters and (not window.entries or self._room >= COST * window.messages // 4):
            self.wake(window.messages - len(window.entries))

    def wake(self, count: int) -> None:
        """Let so many of those who wait for room look again, in the order in which they came."""
        waiters = self._waiters
        while waiters and count > 0:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    async def _wait_for_room(self, size: int, deadline: float, *, patient: bool) -> None:
        """Wait until a message may be sent; raises Blocked or DeadlineExceeded, and it is certainly not sent then.

        A call that is `patient` (names no timeout) waits for as long as a broker may block at most.
        """
        link = self.link
        loop = self.link.loop
        started = loop.time()
        returning = False
        while True:
            self.check_open()
            link.check_open()
            if link.takes_messages and self.recheck is None:
                self._room = self.window.room() if self.confirms else _UNBOUNDED
                if not self.confirms:
                    self.wake(1)  # no confirm will do it
                    return
                if self.window.has_room(size):
                    return
            limit = started + link.setup.blocked_timeout if patient and link.blocked is not None else deadline
            if loop.time() >= limit:
                raise link.why_no_room(self, limit - started, patient=patient)
            waiter = loop.create_future()
            if returning:
                self._waiters.appendleft(waiter)
            else:
                self._waiters.append(waiter)
            try:
                await link.answered(waiter, limit)
                returning = True
            except TimeoutError:
                continue
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self.wake(1)
                raise

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until the broker has answered for all that was published here; raises what it did not take."""
        await self.link.flush_ports([self], timeout)

    # -------------------------------------------------------------------------------------------- settle

    async def ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Settle a delivery, or all up to it. PreconditionFailed: unknown or settled; closes the channel."""
        if not self.is_open:
            self.check_open()
        tag = delivery_tag - self.offset
        if tag <= 0 and self._is_stale(delivery_tag):
            return
        if not (self.acks.ack_up_to(max(tag, 0)) if multiple else self.acks.ack(tag)):
            await self.link.refused_by_broker(self, basic.Ack(max(tag, 0), multiple))
        if not self._is_acking:
            self._is_acking = True
            self.link.acks_wait(self)

    async def reject(self, delivery_tag: int, requeue: bool = False, multiple: bool = False) -> None:
        """Put a delivery back (`requeue`), or let it be dead-lettered or dropped."""
        self.check_open()
        tag = delivery_tag - self.offset
        if tag <= 0 and self._is_stale(delivery_tag):
            return
        if not self.acks.reject(max(tag, 0), requeue, multiple):
            await self.link.refused_by_broker(self, basic.Nack(max(tag, 0), multiple, requeue))
        self.send_acks()
        if self.held:
            self.link.hold_or_release(self)

    def put_back(self, delivery_tag: int) -> None:
        """Give back one that the program was not handed."""
        if self.acks.reject(delivery_tag - self.offset, requeue=True, multiple=False):
            self.send_acks()

    def _is_stale(self, delivery_tag: int) -> bool:
        """Tell whether a tag is of a connection or channel that was lost, and say so."""
        if not 0 < delivery_tag <= self.offset:
            return False
        logger.debug("delivery %d on channel %d is of a lost connection: it comes again", delivery_tag, self.number)
        return True

    def send_acks(self) -> None:
        """Write what was collected."""
        self._is_acking = False
        acks = self.acks
        acks.collect()
        if acks.out and self._wire is self.link.wire:
            self.has_settled = True
            self._wire.out.extend(acks.out)
            self._wire.send_soon()
        acks.out = []

    @property
    def has_room(self) -> bool:
        """Whether the program may be handed more."""
        return not self.is_paused and (not self.limit or self.acks.outstanding < self.limit)

    # -------------------------------------------------------------------------------------------- states

    def take_unconfirmed(self) -> list[Unconfirmed]:
        """Empty the window and give what the broker has not answered for."""
        found = self.recheck.remaining() if self.recheck is not None else self.window.unconfirmed()
        self.recheck = None
        self.window.restart([])
        return found

    def use(self, writer: Writer, wire: Wire) -> None:
        """Work on a channel that was opened."""
        self._writer, self._wire, self.frame_max = writer, wire, wire.engine.frame_max

    def forget_deliveries(self) -> None:
        """Know that the channel under this is gone: what was delivered comes again by other tags."""
        self.offset += self.acks.newest
        self.has_settled = False
        self.acks = Acknowledgements(self.number)
        self._is_acking = False
        if self.held:
            self.held.clear()

    def turn(self, turn: Turn) -> tuple[Deed, ...]:
        """Give what an event asks for."""
        standing = Standing.IN_USE if self.is_open else Standing.SHUT
        return CHANNEL[turn, standing if self.recheck is None else Standing.RECHECKING].deeds

    def check_open(self) -> None:
        """Raise unless the channel can be used."""
        if not self.is_open:
            if isinstance(self.closed_by, errors.ConnectionError):
                raise self.link.why_not()
            raise no_channel(self.number, self.closed_by)

    def shut(self, reason: Exception | None) -> None:
        """Be closed for the program."""
        if self.is_open:
            self.is_open = False
            self.closed_by = reason
        self.consumers = {}
        self.bar()
        for waiter in self._waiters:
            wake(waiter)
        self._waiters.clear()
