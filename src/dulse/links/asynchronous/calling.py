"""Calls on an asyncio link: a method, its reply, a deadline; channels opened and closed."""

from __future__ import annotations

from collections import deque
from typing import Any, TypeVar, cast

from dulse import errors
from dulse.amqp.commands import may_repeat
from dulse.amqp.delivery import Delivery
from dulse.amqp.expected import Expected
from dulse.amqp.life import Status
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, confirm
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
        await self.reply_to(expected, wire, deadline)
        self.check_on(wire)
        port.use(wire.engine.writer(port.number), wire)
        if port.confirms:
            await self.reply_to(wire.engine.call(port.number, confirm.Select()), wire, deadline)
            self.check_on(wire)
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
                    self.forget_port(port, refused)
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
            blocked = f", and blocks this connection ({self.blocked})" if self.blocked is not None else ""
            text = f"the broker has not answered {expected.method.name} in time{blocked}"
            raise errors.make(errors.DeadlineExceeded, text) from None
        except BaseException:
            if expected.reply is not None:
                self.stray(expected)
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
        """Close a channel, when the broker has answered for what was published on it, or the time is over."""
        if not port.is_open:
            return
        deadline = self.deadline(timeout)
        if port.unconfirmed:
            await self.until(lambda: not port.unconfirmed or not port.is_open or not self.is_open, deadline)
        if not port.is_open or not self.is_open:
            return
        port.send_acks()
        wire = self.wire
        self.purge(port)
        self.forget_port(port, None)
        if wire is not None and self.status is Status.OPEN:
            try:
                await self.reply_to(wire.engine.close_channel(port.number), wire, deadline)
            except errors.ConnectionError:
                return  # which closes it as well

    def forget_port(self, port: Port, error: Exception | None) -> None:
        """Be without a channel, which is closed for the program."""
        port.shut(error)
        self.ports.pop(port.number, None)
        self.remembered.close_channel(port.number)

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
            self.purge(port)
            port.acks.settle_all(port.acks.newest)
        future = self.calls.pop(expected, None)
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
