"""An asyncio link to an AMQP broker, which lives through lost connections. Tasks may share it; there is no thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from dulse import errors
from dulse.amqp.delivery import Delivery
from dulse.amqp.life import Action, Happening, Status
from dulse.amqp.methods import basic
from dulse.links.amqp_consumer import NOBODY, Consumer
from dulse.links.amqp_problems import unconfirmed
from dulse.links.amqp_setup import is_rabbitmq_4
from dulse.links.asynchronous.core import logger
from dulse.links.asynchronous.opening import open_wire
from dulse.links.asynchronous.port import Port
from dulse.links.asynchronous.pulse import Pulse
from dulse.links.asynchronous.receiving import Receiving
from dulse.links.waiting.aio import finished
from dulse.model.commands import Command

_HOLD = 0.002
"""Seconds for which acknowledgements may be collected while more is handed over."""


class Link(Receiving):
    """One connection after the other to the destinations of its setup."""

    # --------------------------------------------------------------------------------------------- life

    async def open(self, timeout: float) -> None:
        """Connect and log in within so many seconds, at the first destination that lets us."""
        self.loop = asyncio.get_running_loop()
        deadline = self.loop.time() + timeout
        for left in range(len(self.setup.destinations) - 1, -1, -1):
            now = self.loop.time()
            try:
                wire = await open_wire(self.destination, self, now + (deadline - now) / (left + 1))
            except errors.OperationalError:
                if not left:
                    raise
                self._turn += 1
            else:
                if Action.LEAVE in self.turn(Happening.OPENED):
                    wire.abort()
                    raise self.why_not()
                self.wire = wire
                self.pulse = Pulse(wire)
                return

    async def close(self, timeout: float | None = None) -> None:
        """Send and await what is outstanding, say goodbye, and let go. Raises what the broker did not take."""
        if self.status is Status.NEW or self.status is Status.CLOSED:
            self.turn(Happening.CLOSE)
            return
        deadline = self.deadline(timeout)
        try:
            if self.status is not Status.LOST:
                await self._flush_last(timeout)
            self.raise_problems()
        finally:
            self.turn(Happening.CLOSE)
            for port in self.ports.values():
                port.bar()
            try:
                await self._say_goodbye(deadline)
            finally:
                self._let_go()

    async def _flush_last(self, timeout: float | None) -> None:
        """Flush; what is not confirmed in time is told, as nobody keeps it any longer."""
        try:
            await self.flush(timeout)
        finally:
            for port in list(self.ports.values()):
                for message in port.take_unconfirmed():
                    self.fail(message, unconfirmed(message.data, "the connection was closed before"))
            self.raise_problems()

    async def _say_goodbye(self, deadline: float) -> None:
        wire = self.wire
        if wire is None or wire.engine.closed:
            return
        self.send_acks()
        for port in list(self.ports.values()):
            port.send_acks()
        wire.engine.close()
        wire.send_out()
        try:
            await self.answered(wire.closed, deadline)
        except TimeoutError:
            logger.debug("the broker did not say goodbye in time")

    def _let_go(self) -> None:
        for task in (self._recovery, *self._repairs):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        if self.pulse is not None:
            self.pulse.stop()
        self.stop_sweeping()
        wire, self.wire = self.wire, None
        for port in self.ports.values():
            port.shut(None)
        self.ports = {}
        self.ready.clear()
        if wire is not None:
            wire.abort()
        self.notify()

    def fileno(self) -> int:
        """Refuse: the loop that the link belongs to waits for its socket."""
        text = "an asyncio link is served by its own loop: use the blocking API with another event loop"
        raise errors.make(errors.NotSupported, text)

    def discard(self) -> None:
        """Forget everything without a byte to the broker: called in a forked child."""
        self.turn(Happening.FORKED)
        for port in self.ports.values():
            port.is_open = False
        self.ports = {}
        self.ready.clear()
        if self.wire is not None:
            self.wire.discard()
            self.wire = None

    async def check(self, timeout: float | None = None) -> None:
        """Do one round trip to the broker."""
        await self.close_port(await self.port(Port, timeout, private=True), timeout)

    async def flush(self, timeout: float | None = None) -> None:
        """Send all, and wait until the broker has answered for everything; raises what it did not take."""
        await self.flush_ports(None, timeout)

    async def flush_ports(self, chosen: Sequence[Port] | None, timeout: float | None) -> None:
        """Wait until the broker has answered for what was published on these channels; None: on all."""
        self.check_open()
        deadline = self.deadline(timeout)
        self.send_acks()

        def concerned() -> list[Port]:
            if chosen is None:
                return list(self.ports.values())
            return [each for each in self.ports.values() if each in chosen or each.refuge_of in chosen]

        def answered() -> bool:
            return not self.is_open or not any(each.unconfirmed for each in concerned())

        if not await self.until(answered, deadline):
            count = sum(each.unconfirmed for each in concerned())
            text = f"the broker has not confirmed {count} messages within {timeout or self.setup.timeout:g} s"
            raise errors.make(errors.DeadlineExceeded, f"{text}; they are still on their way")
        await self._hand_over_returns()
        self.raise_problems()
        self.check_open()
        for port in concerned():
            if port.has_settled and port.is_open:
                port.has_settled = False
                # An acknowledgement has no answer. What the broker says to the end of a consumer that there never was
                # shows that it has taken everything before.
                await self.call(port, basic.Cancel(NOBODY), deadline - self.loop.time())

    # ------------------------------------------------------------------------------------------- deliver

    async def drain(self, timeout: float | None = None) -> None:
        """Hand over one event in this task; DeadlineExceeded if there was none within `timeout` seconds."""
        if self.acking and self.loop.time() > self.acks_due:
            self.send_acks()
        if self.returns:
            await self._hand_over_returns()
            return
        event = self._next() or await self._await_event(timeout)
        if event is None:
            await self._hand_over_returns()
        elif type(event) is tuple:
            callback, argument = event
            await finished(callback(argument))
        else:
            await finished(self._deliver(event))

    def _next(self) -> Any:
        """Take what is next of what may be handed over now."""
        ready = self.ready
        while ready:
            event = ready.popleft()
            if type(event) is Delivery:
                try:
                    port = self.ports[event.channel]
                except KeyError:  # the channel was closed while its connection was being replaced
                    continue
                if port.held is not None and not port.has_room:
                    port.held.append(event)
                    continue
            if not ready and self.unread:
                self.unread = 0
                self.look()
            return event
        return None

    def _deliver(self, event: Delivery) -> Any:
        port = self.ports[event.channel]
        consumer = port.consumers[event.consumer_tag or ""]
        acks = port.acks
        if event.delivery_tag > acks.newest:  # noqa: PLR1730 - max() is a call more, on the path of every message
            acks.newest = event.delivery_tag
        if consumer.no_ack:
            acks.skip(event.delivery_tag)
        if port.offset:
            event.delivery_tag += port.offset
        return consumer.on_delivery(event)

    async def _await_event(self, timeout: float | None) -> Any:
        """Wait for something to hand over; None: messages came back."""
        deadline = None if timeout is None else self.loop.time() + timeout
        self.send_acks()
        while True:
            self.check_open()
            if not self.ready:
                self.look()  # all that was read may be held
            drainer = self.loop.create_future()
            handle = None if deadline is None else self.loop.call_at(deadline, _over, drainer)
            self.drainers.append(drainer)
            try:
                in_time = await drainer is None
            except asyncio.CancelledError:
                if drainer.done() and not drainer.cancelled():
                    self.wake_drainer()
                raise
            finally:
                if handle is not None:
                    handle.cancel()
            event = self._next()
            if event is not None or self.returns:
                return event
            if not in_time:
                raise errors.make(errors.DeadlineExceeded, f"no message within {timeout} seconds")

    async def _hand_over_returns(self) -> None:
        while self.returns:
            listener, message = self.returns.popleft()
            await finished(listener(message))

    # ------------------------------------------------------------------------------------------ consume

    def note(self, command: Command) -> None:
        """Remember what was carried out, to bring it back after a loss."""
        self.remembered.note(command)

    async def prefetch(self, port: Port, count: int, *, shared: bool, timeout: float | None = None) -> None:
        """Bound what is delivered and not settled.

        RabbitMQ 4 may deny a bound for a whole channel, and says nothing: there it is kept here, and each consumer
        started from now on has it for itself at the broker.
        """
        kept_here = shared and is_rabbitmq_4(self.need_engine().peer_properties)
        found = self.remembered.channels.get(port.number)
        if not kept_here or found is None or not found.prefetch:
            is_shared = shared and not kept_here
            await self.call(port, basic.Qos(prefetch_count=count, global_=is_shared), timeout)
            self.remembered.prefetch(port.number, count, shared=is_shared)
        if kept_here:
            port.limit = count
            self.hold_or_release(port)

    async def consume(
        self,
        port: Port,
        method: basic.Consume,
        on_delivery: Callable[[Delivery], Any],
        on_cancel: Callable[[str], Any] | None,
        timeout: float | None = None,
    ) -> None:
        """Start a consumer, whose tag is in the method."""
        tag = method.consumer_tag
        if tag in port.consumers:
            text = f"consumer tag {tag!r} is in use on channel {port.number}: choose another"
            raise errors.make(errors.NotAllowed, text, method=method.name)
        port.consumers[tag] = Consumer(method, on_delivery, on_cancel)
        try:
            await self.call(port, method, timeout)
        except BaseException:
            # Else it is cancelled as soon as it is there, and what it is given goes back.
            if not any(each.method is method for each in self.abandoned):
                port.consumers.pop(tag, None)
            raise
        self.remembered.consume(port.number, method)

    async def cancel(self, port: Port, consumer_tag: str, timeout: float | None = None) -> None:
        """End a consumer; what it was not handed goes back. Unknown tags are no error."""
        port.check_open()
        if consumer_tag in port.consumers:
            await self.call(port, basic.Cancel(consumer_tag), timeout)
            self.drop_consumer(port, consumer_tag)

    async def get(
        self, port: Port, queue: str, *, no_ack: bool = False, timeout: float | None = None
    ) -> Delivery | None:
        """Take one message, or None at once if there is none."""
        strays = port.strays.get(queue)
        if no_ack and strays:
            return strays.popleft()
        self.send_acks()
        reply = await self.call(port, basic.Get(queue, no_ack), timeout)
        return reply if isinstance(reply, Delivery) else None

    async def set_flow(self, port: Port, active: bool) -> None:
        """Hand nothing of a channel over for now, or go on. RabbitMQ implements no channel.flow of the client's."""
        port.check_open()
        port.is_paused = not active
        self.hold_or_release(port)

    async def recover(self, port: Port, timeout: float | None = None) -> None:
        """Have all that is not settled put back."""
        port.send_acks()
        await self.call(port, basic.Recover(requeue=True), timeout)


def _over(future: asyncio.Future[Any]) -> None:
    """End a wait for events: the time is over."""
    if not future.done():
        future.set_result(False)
