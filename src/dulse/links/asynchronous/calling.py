"""Calls on an asyncio link: a method, its reply, a deadline; channels opened and closed."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Any, TypeVar, cast

from dulse import errors
from dulse.amqp.commands import may_repeat
from dulse.amqp.delivery import Delivery
from dulse.amqp.expected import Expected
from dulse.amqp.life import Status
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel, confirm
from dulse.links.amqp_problems import unconfirmed
from dulse.links.asynchronous.handing import Handing
from dulse.links.asynchronous.port import Port
from dulse.links.asynchronous.wire import Wire

AnyPort = TypeVar("AnyPort", bound=Port)


class Calling(Handing):
    """The part of a Link that asks the broker."""

    async def port(self, kind: type[AnyPort], timeout: float | None = None, *, private: bool = False) -> AnyPort:
        """Open a channel, as an instance of a subclass of Port; a `private` one is for ourselves."""
        deadline = self.deadline(timeout)
        await self._connected(deadline, "channel.open")
        wire = self.need_wire()
        expected = wire.engine.open_channel(reserved=self.ports)  # some may be closed, and come back
        port = kind(cast("Any", self), expected.channel)
        try:
            await self.reply_to(expected, wire, deadline)
            self.check_on(wire)
            port.use(wire.engine.writer(port.number), wire)
            if port.confirms:
                await self.reply_to(wire.engine.call(port.number, confirm.Select()), wire, deadline)
                self.check_on(wire)
        except BaseException:
            self.close_stray(port.number, wire)
            raise
        self.ports[port.number] = port
        self.remembered.open_channel(port.number, confirms=port.confirms)
        if not private:
            port.grant()
        return port

    async def call(self, port: Port, method: Method, timeout: float | None = None) -> Any:
        """Call a method of a channel and give the reply; raises what the broker says against it.

        Where the connection is lost meanwhile, what may be asked twice is asked again on the next one.
        """
        deadline = self.deadline(timeout)
        suspected = False
        while True:
            await self._usable(port, deadline, method.name)
            wire = self.need_wire()
            try:
                return await self.reply_to(wire.engine.call(port.number, method), wire, deadline)
            except errors.ConnectionError as lost:
                if suspected or not (may_repeat(method) and self.is_open):
                    raise
                # What is not retryable may be this very method's fault, and would end all connections to come.
                suspected = not lost.retryable
            except errors.ChannelError as refused:
                if port.recheck is not None and may_repeat(method):
                    continue  # a message had the channel closed, which comes back
                if port.recheck is None and port.is_open:  # the broker closed the whole connection for it
                    self.move_from(port, refused)
                raise

    async def reply_to(self, expected: Expected, wire: Wire, deadline: float) -> Any:
        """Send what was asked and give the reply; DeadlineExceeded, and a later reply is taken back."""
        wire.send_soon()
        if expected.done:
            return expected.result()
        future = self.loop.create_future()
        self.calls[expected] = future
        try:
            return await self.answered(future, deadline)
        except TimeoutError:
            if not expected.done:
                self.abandoned.add(expected)
            blocked = f", and blocks this connection ({self.blocked})" if self.blocked is not None else ""
            text = f"the broker has not answered {expected.method.name} in time{blocked}"
            raise errors.make(errors.DeadlineExceeded, text) from None
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.stray(expected)  # the answer came too late
            elif not expected.done:
                self.abandoned.add(expected)
            raise
        finally:
            self.calls.pop(expected, None)

    async def _connected(self, deadline: float, what: str) -> None:
        """Wait while a lost connection is being replaced."""
        self.check_open()
        if not await self.until(lambda: self.status is not Status.BROKEN, deadline):
            text = f"{what} was not sent: the connection was lost ({self.error}), and there is no other yet"
            raise errors.make(errors.Reconnecting, text)
        self.check_open()

    async def _usable(self, port: Port, deadline: float, what: str) -> None:
        """Wait until a channel is open on a connection."""
        while True:
            port.check_open()
            await self._connected(deadline, what)
            if port.recheck is None:
                port.check_open()
                return
            if not await self.until(lambda: port.recheck is None or not self.is_open, deadline):
                text = f"{what} was not sent: the broker closed channel {port.number}, which is being repaired"
                raise errors.make(errors.DeadlineExceeded, text)

    async def close_port(self, port: Port, timeout: float | None = None) -> None:
        """Close a channel, when the broker has answered for what was published on it.

        DeadlineExceeded: it has not in time. The channel is closed all the same, and what was unconfirmed is told of.
        """
        if not port.is_open:
            return
        deadline = self.deadline(timeout)
        if port.unconfirmed:
            await self.until(lambda: not port.unconfirmed or not port.is_open or not self.is_open, deadline)
        if not port.is_open or not self.is_open:
            return
        port.send_acks()
        wire = self.wire
        late = port.take_unconfirmed()
        for message in late:
            self.fail(message, unconfirmed(message.data, "its channel was closed before"))
        self.purge(port)
        self.forget_port(port, None)
        self.notify()
        if wire is not None and self.status is Status.OPEN and wire.engine.is_channel_open(port.number):
            closing = wire.engine.close_channel(port.number)
            self._fail_calls(port)
            with suppress(errors.ConnectionError):  # which closes it as well
                await self.reply_to(closing, wire, deadline)
        if late:
            text = f"channel {port.number} was closed before the broker had confirmed {len(late)} messages on it"
            raise errors.make(errors.DeadlineExceeded, f"{text}: give it more time")

    def _fail_calls(self, port: Port) -> None:
        """Have others know who wait for an answer on a channel that was just closed."""
        for expected, future in list(self.calls.items()):
            if expected.channel == port.number and expected.error is not None and not future.done():
                future.set_exception(expected.error)

    def forget_port(self, port: Port, error: Exception | None) -> None:
        """Be without a channel, which is closed for the program."""
        port.shut(error)
        if self.ports.get(port.number) is port:  # another may have its number by now
            del self.ports[port.number]
            self.remembered.close_channel(port.number)

    def move_from(self, port: Port, error: Exception) -> None:
        """Be without a channel that was closed for the program by a mistake; what is unconfirmed is sent elsewhere."""
        raise NotImplementedError

    def close_stray(self, number: int, wire: Wire) -> None:
        """Close a channel that nobody wanted any more when it was open."""
        if self.is_on(wire) and number not in self.ports and wire.engine.is_channel_open(number):
            wire.engine.close_channel(number)
            wire.send_soon()

    # ------------------------------------------------------------------------------------------ replies

    def reply(self, expected: Expected) -> None:
        """Give a reply, or an error, to who asked."""
        answer = expected.reply
        port = self.ports.get(expected.channel)
        if port is not None and isinstance(answer, Delivery):
            port.acks.newest = max(port.acks.newest, answer.delivery_tag)
            if isinstance(expected.method, basic.Get) and expected.method.no_ack:
                port.acks.skip(answer.delivery_tag)
            answer.delivery_tag += port.offset
        elif port is not None and isinstance(answer, basic.RecoverOk):
            port.acks.settle_all(max(self.purge(port), port.acks.newest))
        future = self.calls.pop(expected, None)
        self.abandoned.discard(expected)
        if future is None or future.done():
            self.stray(expected)
        elif expected.error is not None:
            future.set_exception(expected.error)
        else:
            future.set_result(answer)

    def stray(self, expected: Expected) -> None:
        """Take back what the call wanted that this answers, for it was cancelled or gave up."""
        reply, method = expected.reply, expected.method
        port, wire = self.ports.get(expected.channel), self.wire
        if isinstance(method, channel.Open) and wire is not None:
            self.close_stray(expected.channel, wire)
        elif isinstance(method, basic.Consume) and port is not None and reply is None:
            port.consumers.pop(method.consumer_tag, None)
        if port is None or wire is None or reply is None:
            return
        if isinstance(method, basic.Get) and isinstance(reply, Delivery):
            if method.no_ack:
                port.strays.setdefault(method.queue, deque()).append(reply)
            else:
                port.put_back(reply.delivery_tag)
        elif isinstance(method, basic.Consume) and isinstance(reply, basic.ConsumeOk):
            wire.engine.call(port.number, basic.Cancel(reply.consumer_tag))
            wire.send_soon()
        elif isinstance(method, basic.Cancel):
            self.drop_consumer(port, method.consumer_tag)

    # ---------------------------------------------------------------------------------------- consumers

    async def refused_by_broker(self, port: Port, method: Method, timeout: float | None = None) -> None:
        """Have the broker say what is wrong with settling an unknown delivery, which closes the channel."""
        deadline = self.deadline(timeout)
        await self._usable(port, deadline, method.name)
        port.send_acks()
        wire = self.need_wire()
        wire.engine.call(port.number, method)
        wire.send_soon()
        await self.until(lambda: not port.is_open or not self.is_on(wire), deadline)
        text = f"{method.name}: the delivery is unknown or settled already"
        raise port.closed_by or errors.make(errors.PreconditionFailed, text, method=method.name)
