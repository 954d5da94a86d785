"""Exchanges, queues and bindings that can be bound to a channel and then act on the broker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Unpack

from dulse import errors
from dulse.aio.bound import ChannelBound
from dulse.aio.contracts import Anchor, OnMessage
from dulse.aio.message import Message
from dulse.codecs import prepare_accept_content
from dulse.links.waiting.aio import finished
from dulse.model.commands import QueueDeclared
from dulse.model.delivery_modes import (
    DELIVERY_MODES,
    PERSISTENT_DELIVERY_MODE,
    TRANSIENT_DELIVERY_MODE,
    DeliveryMode,
    delivery_mode_number,
)
from dulse.model.entities import (
    BindingDescription,
    Declared,
    ExchangeDescription,
    QueueDescription,
    name_of,
)
from dulse.model.entity_options import Arguments, ExchangeOptions, QueueOptions
from dulse.model.generic import Payload

if TYPE_CHECKING:
    from dulse.aio.channel import Channel

__all__ = [
    "DELIVERY_MODES",
    "PERSISTENT_DELIVERY_MODE",
    "TRANSIENT_DELIVERY_MODE",
    "ChannelBound",
    "Exchange",
    "Queue",
    "adopt",
    "binding",
]


AnyMessage = Message[Any]


class Exchange(ChannelBound, ExchangeDescription):
    """An exchange: see ExchangeDescription for what it is made of. `nowait` is taken and waited all the same."""

    def __init__(
        self, name: str = "", type: str = "", channel: Anchor | None = None, **options: Unpack[ExchangeOptions]
    ) -> None:
        super().__init__(name, type, **options)
        self._bind_at_birth(channel)

    async def declare(self, nowait: bool = False, passive: bool | None = None, channel: Anchor | None = None) -> None:
        """Make it, or with `passive` check that it is there; those that brokers have from the start are left alone."""
        target = await self._work_on(channel)
        if self.declarable:
            await target.execute(self.declare_command(passive))

    async def bind_to(
        self,
        exchange: ExchangeDescription | str = "",
        routing_key: str = "",
        arguments: Arguments | None = None,
        nowait: bool = False,
        channel: Anchor | None = None,
    ) -> None:
        """Let it have what reaches another exchange and matches."""
        target = await self._work_on(channel)
        await target.execute(self.bind_command(exchange, routing_key, arguments or {}))

    async def unbind_from(
        self,
        source: ExchangeDescription | str = "",
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments | None = None,
        channel: Anchor | None = None,
    ) -> None:
        """End such a binding; a missing one is no error."""
        target = await self._work_on(channel)
        await target.execute(self.unbind_command(source, routing_key, arguments or {}))

    def Message(  # noqa: N802 - the class it makes
        self,
        body: Any,
        delivery_mode: DeliveryMode | None = None,
        properties: Mapping[str, Any] | None = None,
        priority: int | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> AnyMessage:
        """Make a message to `publish`; the body is bytes or text, nothing is serialized."""
        mode = delivery_mode_number(delivery_mode or self.delivery_mode)
        if isinstance(body, str) and content_encoding is None:
            content_encoding = "utf-8"
        return Message(
            body,
            content_type=content_type,
            content_encoding=content_encoding,
            headers=dict(headers or {}),
            properties={**(properties or {}), "delivery_mode": mode, "priority": priority},
        )

    async def publish(
        self,
        message: AnyMessage | bytes | str,
        routing_key: str | None = None,
        mandatory: bool = False,
        immediate: bool = False,
        exchange: str | None = None,
    ) -> None:
        """Publish a message as it is, to this exchange or the one named."""
        target = await self.channel
        made = self.Message(message) if isinstance(message, str | bytes) else message
        await target.basic_publish(made, exchange or self.name, routing_key or "", mandatory)

    async def delete(self, if_unused: bool = False, nowait: bool = False) -> None:
        """Delete it with its bindings; a missing one is no error.

        With `if_unused`, one that has bindings is left and PreconditionFailed raised.
        """
        target = await self.channel
        await target.execute(self.delete_command(if_unused))
        target.client.declared_entities.discard(self.declaration_key())

    def binding(
        self,
        routing_key: str = "",
        arguments: Arguments | None = None,
        unbind_arguments: Arguments | None = None,
    ) -> binding:
        """Make a binding to this exchange."""
        return binding(self, routing_key, arguments, unbind_arguments)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} ({self.type}): {self._condition()}>"


class binding(BindingDescription):  # noqa: N801 - Kombu's name
    """A binding to an exchange, for a queue that has several."""

    async def declare(self, channel: Anchor, nowait: bool = False) -> None:
        """Declare the exchange."""
        if self.exchange is not None and self.exchange.name:
            await adopt(self.exchange).declare(channel=channel)

    async def bind(self, entity: Exchange | Queue, nowait: bool = False, channel: Anchor | None = None) -> None:
        """Bind a queue or exchange through it."""
        await entity.bind_to(self.exchange or "", self.routing_key, self.arguments, channel=channel)

    async def unbind(self, entity: Exchange | Queue, nowait: bool = False, channel: Anchor | None = None) -> None:
        """End the binding of a queue or exchange."""
        await entity.unbind_from(
            self.exchange or "", self.routing_key, arguments=self.unbind_arguments, channel=channel
        )


class Queue(ChannelBound, QueueDescription, Generic[Payload]):
    """A queue of messages with payloads of one type: see QueueDescription for what it is made of.

    `nowait` is taken and waited all the same, so that no error is lost.
    """

    ContentDisallowed: ClassVar[type[Exception]] = errors.ContentDisallowed
    exchange_class: ClassVar[type[ExchangeDescription]] = Exchange
    binding_class: ClassVar[type[BindingDescription]] = binding

    def __init__(
        self,
        name: str = "",
        exchange: ExchangeDescription | str | Collection[BindingDescription] | None = None,
        routing_key: str = "",
        channel: Anchor | None = None,
        bindings: Iterable[BindingDescription] | None = None,
        on_declared: Declared | None = None,
        **options: Unpack[QueueOptions],
    ) -> None:
        super().__init__(name, exchange, routing_key, bindings, on_declared, **options)
        self._bind_at_birth(channel)

    def when_bound(self) -> None:
        """Bind the exchange along."""
        if self.exchange is not None and self._channel is not None:
            self.exchange = self._channel.adopt(self.exchange).maybe_bind(self._channel)

    async def declare(self, nowait: bool = False, channel: Anchor | None = None) -> str:
        """Declare the exchange and the queue, and bind them; gives the queue's name, made up by the broker if empty.

        A passive queue is not made and not bound: NotFound if it is not there.
        """
        target = await self._work_on(channel)
        if not self.no_declare:
            bound = () if self.passive else self.bound_to()
            for each in bound:
                if each.exchange is not None and each.exchange.declarable:
                    await target.execute(each.exchange.declare_command())
            await self._declare_on(target)
            for each in bound:
                await target.execute(self.bind_command(each.exchange or "", each.routing_key, each.arguments or {}))
        return self.name

    async def queue_declare(
        self, nowait: bool = False, passive: bool | None = None, channel: Anchor | None = None
    ) -> QueueDeclared:
        """Declare the queue alone, or with `passive` check that it is there; gives its name and counts."""
        return await self._declare_on(await self._work_on(channel), passive)

    async def _declare_on(self, channel: Channel, passive: bool | None = None) -> QueueDeclared:
        declared: QueueDeclared = await channel.execute(self.declare_command(passive))
        if not self.name:
            self.name = declared.queue
        if self.on_declared is not None:
            await finished(self.on_declared(*declared))
        return declared

    async def queue_bind(self, nowait: bool = False, channel: Anchor | None = None) -> None:
        """Bind it to its exchange by its routing key."""
        await self.bind_to(self.exchange or "", self.routing_key, self.binding_arguments, channel=channel)

    async def bind_to(
        self,
        exchange: ExchangeDescription | str = "",
        routing_key: str = "",
        arguments: Arguments | None = None,
        nowait: bool = False,
        channel: Anchor | None = None,
    ) -> None:
        """Let it have what reaches an exchange and matches."""
        target = await self._work_on(channel)
        await target.execute(self.bind_command(exchange, routing_key, arguments or {}))

    async def queue_unbind(
        self, arguments: Arguments | None = None, nowait: bool = False, channel: Anchor | None = None
    ) -> None:
        """End the binding to its exchange; by default the one made with `binding_arguments`."""
        given = self.binding_arguments if arguments is None else arguments
        await self.unbind_from(self.exchange or "", self.routing_key, given, channel=channel)

    async def unbind_from(
        self,
        exchange: ExchangeDescription | str = "",
        routing_key: str = "",
        arguments: Arguments | None = None,
        nowait: bool = False,
        channel: Anchor | None = None,
    ) -> None:
        """End a binding; a missing one is no error."""
        target = await self._work_on(channel)
        await target.execute(self.unbind_command(exchange, routing_key, arguments or {}))

    async def get(self, no_ack: bool | None = None, accept: Collection[str] | None = None) -> Message[Payload] | None:
        """Take one message, or None at once if there is none; `accept` names the content types that may be decoded."""
        target = await self.channel
        message: Message[Payload] | None = await target.basic_get(self.name, self.no_ack if no_ack is None else no_ack)
        if message is not None:
            message.accept = prepare_accept_content(accept)
        return message

    async def purge(self, nowait: bool = False) -> int:
        """Delete all messages that are ready and give their number."""
        target = await self.channel
        return int(await target.execute(self.purge_command()))

    async def consume(
        self,
        consumer_tag: str = "",
        callback: OnMessage | None = None,
        no_ack: bool | None = None,
        nowait: bool = False,
        on_cancel: Callable[[str], Any] | None = None,
    ) -> str:
        """Start a consumer whose `callback` gets each message while the connection drains events; gives its tag."""
        target = await self.channel
        quietly = self.no_ack if no_ack is None else no_ack
        return await target.basic_consume(
            self.name, quietly, consumer_tag or "", callback, on_cancel, self.consumer_arguments
        )

    async def cancel(self, consumer_tag: str) -> None:
        """End a consumer; what it has not handed over goes back to the queue."""
        target = await self.channel
        await target.basic_cancel(consumer_tag)

    async def delete(self, if_unused: bool = False, if_empty: bool = False, nowait: bool = False) -> int:
        """Delete it and give the number of messages that went with it; a missing one is no error."""
        target = await self.channel
        deleted = int(await target.execute(self.delete_command(if_unused, if_empty)))
        target.client.declared_entities.discard(self.declaration_key())
        return deleted

    def __repr__(self) -> str:
        if self.bindings:
            bindings = ", ".join(map(str, self.bound_to()))
            return f"<{type(self).__name__} {self.name!r} -> [{bindings}]: {self._condition()}>"
        exchange = name_of(self.exchange)
        return f"<{type(self).__name__} {self.name!r} -> {exchange!r} -> {self.routing_key!r}: {self._condition()}>"


def adopt(entity: Any) -> Any:
    """Give an unbound copy of an exchange, queue or binding; one of another front end becomes one of this."""
    if isinstance(entity, Exchange | Queue | binding):
        return copy(entity)
    if not isinstance(entity, ExchangeDescription | QueueDescription | BindingDescription):
        text = f"{entity!r} is a {type(entity).__name__}, no exchange, queue or binding: make one, as by Queue('name')"
        raise errors.make(errors.InvalidArgument, text)
    values = entity.as_dict()
    if isinstance(entity, ExchangeDescription):
        return Exchange(**{name: values[name] for name, _ in ExchangeDescription.attrs})
    exchange = values["exchange"] and adopt(values["exchange"])
    if isinstance(entity, BindingDescription):
        return binding(**{**values, "exchange": exchange})
    own = {name: values[name] for name, _ in QueueDescription.attrs}
    own.update(exchange=exchange, bindings=[adopt(each) for each in values["bindings"] or ()])
    return Queue(**own, on_declared=entity.on_declared)
