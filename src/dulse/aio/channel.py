"""A channel as programs use it: AMQP's verbs over whatever transport is below."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from dulse import errors
from dulse.aio.contracts import Client, OnMessage, TransportSide
from dulse.aio.entity import adopt
from dulse.aio.message import Message, Received
from dulse.aio.topology import TopologyVerbs
from dulse.codecs import text
from dulse.links.waiting.aio import finished
from dulse.model.commands import Arguments, Command
from dulse.model.listeners import Listeners
from dulse.model.message import Delivery, Outgoing, Returned
from dulse.model.names import check_name
from dulse.model.outgoing import compose
from dulse.transport import AsyncTransportChannel, OnCancel

__all__ = ["Channel"]

PublishedMessage = Message | Outgoing | bytes | str


class Channel(TopologyVerbs):
    """A session of operations on a Connection; made by `Connection.channel()`.

    Threads (tasks) may share it. An operation that the broker refuses closes it (AMQP 0-9-1 §4.2.6): what was not
    settled goes back to its queue, and other channels live on. `nowait` is taken and waited all the same, so that no
    error is lost. In `events["basic_return"]` are the callbacks for mandatory messages that no queue wanted; where
    there are none, publishing one raises Unroutable.
    """

    def __init__(self, transport_channel: AsyncTransportChannel, connection: TransportSide) -> None:
        self.transport_channel = transport_channel
        self.channel_id = transport_channel.number
        self.events = {"basic_return": Listeners(self._listen)}
        self._connection = connection
        self._observer = connection.client.observer

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self.transport_channel.is_open

    @property
    def connection(self) -> TransportSide | None:
        """The open transport, whose `client` is the Connection; None once the channel is closed."""
        return self._connection if self.transport_channel.is_open else None

    @property
    def client(self) -> Client:
        """The Connection that it belongs to."""
        return self._connection.client

    @property
    async def default_channel(self) -> Self:
        """Itself: a channel may stand wherever a Connection may."""
        return self

    def adopt(self, entity: Any) -> Any:
        """Give an unbound copy of an exchange, queue or binding, in this front end's class."""
        return adopt(entity)

    # --------------------------------------------------------------------------------------------------- publish

    def prepare_message(
        self,
        body: Any,
        priority: int | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        headers: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> Message:
        """Make a message for `basic_publish`; nothing is serialized."""
        return Message(
            body,
            content_type=content_type,
            content_encoding=content_encoding,
            headers=dict(headers or {}),
            properties={**(properties or {}), "priority": priority},
        )

    async def basic_publish(
        self,
        message: PublishedMessage,
        exchange: str = "",
        routing_key: str = "",
        mandatory: bool = False,
        immediate: bool = False,
        timeout: float | None = None,
        confirm_timeout: float | None = None,
    ) -> None:
        """Publish a message as it is. `timeout` and `confirm_timeout` (seconds) bound the whole call together."""
        out = self._outgoing(message, exchange, routing_key, mandatory)
        limit = total(timeout, confirm_timeout)
        await self.transport_channel.publish(*out, limit)
        if self._observer is not None:
            self._observer.published(out)

    def _outgoing(self, message: PublishedMessage, exchange: str, routing_key: str, mandatory: bool) -> Outgoing:
        if isinstance(message, Outgoing):
            body, properties = message.body, message.properties
        else:
            made = message if isinstance(message, Message) else Message(message)
            encoding = made.content_encoding
            body = made.body
            if not isinstance(body, bytes):
                body = text.write(body, encoding or text.UTF8) if isinstance(body, str) else bytes(body or b"")
            properties = compose(made.properties, None, made.content_type, encoding, made.headers)
        check_name("exchange", exchange)
        return Outgoing(body, properties, exchange, check_name("routing key", routing_key), mandatory)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until the broker has answered for every message published on this channel."""
        await self.transport_channel.flush(timeout)

    def _listen(self, anybody: bool) -> None:
        self.transport_channel.on_returned = self._returned if anybody else None

    async def _returned(self, returned: Returned) -> None:
        problem = errors.make(errors.Unroutable, returned.text, message=returned, code=returned.code)
        properties = {name: value for name, value in returned.properties.items() if name != "headers"}
        message: Message = Message(
            returned.body,
            content_type=properties.get("content_type"),
            content_encoding=properties.get("content_encoding"),
            properties=properties,
            headers=dict(returned.properties.get("headers") or {}),
        )
        for callback in self.events["basic_return"]:
            await finished(callback(problem, returned.exchange, returned.routing_key, message))

    # --------------------------------------------------------------------------------------------------- consume

    async def basic_consume(
        self,
        queue: str,
        no_ack: bool = False,
        consumer_tag: str = "",
        callback: OnMessage | None = None,
        on_cancel: OnCancel | None = None,
        arguments: Arguments | None = None,
        exclusive: bool = False,
        nowait: bool = False,
    ) -> str:
        """Start a consumer and give its tag, made up where none is given.

        `callback` gets each Message, on the thread (task) that drains events. `on_cancel` gets the tag when the broker
        ends the consumer, for instance because the queue was deleted.
        """
        if callback is None:
            raise errors.make(errors.InvalidArgument, f"a consumer of queue {queue!r} needs a callback")
        deliver: OnMessage = callback
        observer = self._observer

        def on_delivery(delivery: Delivery) -> Any:
            if observer is not None:
                observer.received(delivery)
            return deliver(Received(delivery, self, no_ack))

        return await self.transport_channel.consume(
            check_name("queue", queue),
            on_delivery,
            consumer_tag=check_name("consumer tag", consumer_tag),
            no_ack=no_ack,
            exclusive=exclusive,
            arguments=dict(arguments or {}),
            on_cancel=on_cancel,
        )

    async def basic_cancel(self, consumer_tag: str, nowait: bool = False) -> None:
        """End a consumer; an unknown tag is no error. What it has not handed over goes back to the queue."""
        await self.transport_channel.cancel(consumer_tag)

    async def basic_get(self, queue: str, no_ack: bool = False) -> Message | None:
        """Take one message, or None at once if there is none."""
        delivery = await self.transport_channel.get(queue, no_ack=no_ack)
        if delivery is None:
            return None
        if self._observer is not None:
            self._observer.received(delivery)
        return Received(delivery, self, no_ack)

    async def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Acknowledge a delivery, or with `multiple` all up to it. An unknown tag raises PreconditionFailed."""
        await self.transport_channel.ack(delivery_tag, multiple)
        if self._observer is not None:
            self._observer.settled(delivery_tag, "ack")

    async def basic_reject(self, delivery_tag: int, requeue: bool = False, multiple: bool = False) -> None:
        """Refuse a delivery: it is dead-lettered or dropped, or with `requeue` put back to its place."""
        await self.transport_channel.reject(delivery_tag, requeue, multiple)
        if self._observer is not None:
            self._observer.settled(delivery_tag, "requeue" if requeue else "reject")

    async def basic_recover(self, requeue: bool = True) -> None:
        """Give back all that this channel has not settled."""
        await self.transport_channel.recover(requeue)

    async def basic_qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:
        """Bound how many messages are delivered and not settled; 0 is no bound, and a size in bytes is not supported.

        For each consumer started from now on; with `apply_global`, for all of the channel together.
        """
        if prefetch_size:
            raise errors.make(errors.NotSupported, "prefetch_size is implemented by no broker: use prefetch_count")
        await self.transport_channel.prefetch(prefetch_count, shared=apply_global)

    async def flow(self, active: bool) -> None:
        """Pause (False) or resume (True) deliveries on this channel."""
        await self.transport_channel.flow(active)

    async def execute(self, command: Command, timeout: float | None = None) -> Any:
        """Change the topology; gives the reply that the command names."""
        return await self.transport_channel.execute(command, timeout)

    # ------------------------------------------------------------------------------------------------------ make

    def Producer(self, *args: Any, **options: Any) -> Any:  # noqa: N802 - the class it makes
        """Make a producer on this channel; the arguments are those of Producer."""
        return self.client.Producer(self, *args, **options)

    def Consumer(self, queues: Any = None, *args: Any, **options: Any) -> Any:  # noqa: N802 - the class it makes
        """Make a consumer on this channel; the arguments are those of Consumer."""
        return self.client.Consumer(queues, self, *args, **options)

    async def close(self) -> None:
        """End its consumers and give back what was not settled; closing it again does nothing."""
        if self.transport_channel.is_open:
            await self.transport_channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Channel {self.channel_id}: {'open' if self.is_open else 'closed'}>"


def total(timeout: float | None, confirm_timeout: float | None) -> float | None:
    """Join the seconds for sending and for the broker's answer; None where neither is given."""
    for name, seconds in (("timeout", timeout), ("confirm_timeout", confirm_timeout)):
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            words = f"{name} must be more than 0 seconds, not {seconds!r}: leave it out for the transport's default"
            raise errors.make(errors.InvalidArgument, words)
    if timeout is None or confirm_timeout is None:
        return confirm_timeout if timeout is None else timeout
    return timeout + confirm_timeout
