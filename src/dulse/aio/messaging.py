"""Producers, which publish messages; and consumers, under the module name that Kombu's users know."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self

from dulse import errors
from dulse.aio.attached import Attached, client_of
from dulse.aio.batching import DEFAULT_BATCH_SIZE, Batch, open_batch
from dulse.aio.channel import Channel, total
from dulse.aio.consuming import Consumer
from dulse.aio.contracts import Client
from dulse.aio.declaring import declare_once, is_declared
from dulse.aio.entity import Exchange, Queue, adopt
from dulse.codecs import compress, dumps, encode, text
from dulse.model.delivery_modes import DeliveryMode, delivery_mode_number
from dulse.model.entities import ExchangeDescription, QueueDescription
from dulse.model.generic import Payload
from dulse.model.listeners import OnReturn
from dulse.model.message import Outgoing, Properties
from dulse.model.mistakes import check_callable, check_timeout, listed, mistaken, table
from dulse.model.names import check_name
from dulse.model.outgoing import compose, write_times
from dulse.transport import AsyncTransactionalChannel, AsyncTransportChannel, Observer

__all__ = ["DEFAULT_BATCH_SIZE", "Consumer", "Exchange", "Producer", "Queue"]

Entities = Sequence[ExchangeDescription | QueueDescription]
_MODES = {1, 2}
_TO_DECLARE = "a list of exchanges and queues"
_REMEMBERED = 256
_SURELY_SHORT = 63


class Producer(Attached, Generic[Payload]):
    """Publishes to an exchange; it is declared before the first message, unless `auto_declare` is off.

    `channel` is a Channel or a Connection, whose default channel is then opened at the first message. Threads (tasks)
    may share a producer. Class attributes are the defaults of subclasses. `on_return` gets each mandatory message that
    no queue wanted, with the error, the exchange and the routing key; without it such a message raises Unroutable.
    """

    exchange: Exchange
    routing_key: str = ""
    serializer: str | None = None
    compression: str | None = None
    auto_declare: bool = True
    on_return: OnReturn | None = None

    def __init__(
        self,
        channel: Channel | Client | None,
        exchange: ExchangeDescription | str | None = None,
        routing_key: str | None = None,
        serializer: str | None = None,
        auto_declare: bool | None = None,
        compression: str | None = None,
        on_return: OnReturn | None = None,
    ) -> None:
        check_callable(on_return=on_return)
        self.exchange = _exchange(exchange or getattr(type(self), "exchange", None))
        self.routing_key = routing_key or self.routing_key
        self.serializer = serializer or self.serializer
        self.compression = compression or self.compression
        self.on_return = on_return or self.on_return
        if auto_declare is not None:
            self.auto_declare = auto_declare
        self.batches: set[Batch] = set()
        self._channel: Channel | None = None
        self._link: AsyncTransportChannel | None = None
        self._observer: Observer | None = None
        self._declared: set[Any] = set()
        self._default: Exchange | None = None
        self._default_name = ""
        self._default_key: Hashable | None = None
        self._plain: dict[tuple[Any, ...], Properties] = {}
        if channel is not None:
            self.revive(channel)

    # -------------------------------------------------------------------------------------------------- publish

    async def publish(
        self,
        body: Payload,
        routing_key: str | None = None,
        delivery_mode: DeliveryMode | None = None,
        mandatory: bool = False,
        immediate: bool = False,
        priority: int = 0,
        content_type: str | None = None,
        content_encoding: str | None = None,
        serializer: str | None = None,
        headers: Mapping[str, Any] | None = None,
        compression: str | None = None,
        exchange: ExchangeDescription | str | None = None,
        retry: bool = False,
        retry_policy: Mapping[str, Any] | None = None,
        declare: Entities | None = None,
        expiration: float | None = None,
        timeout: float | None = None,
        confirm_timeout: float | None = None,
        delay: float | None = None,
        session: Any = None,
        **properties: Any,
    ) -> None:
        """Publish a payload; when this returns, the broker has it, or it is on its way and watched.

        A payload is serialized (bytes and text go out as they are) unless `content_type` says that it is in its final
        form already. `expiration` and `delay` are in seconds, and `timeout` and `confirm_timeout` bound the call
        together. `declare` lists what has to be declared before. With `retry`, a broken connection is opened again as
        `retry_policy` says, whose items are the arguments of `Connection.ensure`; a message may then arrive twice.
        Other keywords are AMQP's properties, such as correlation_id, and reply_to, which may be a queue. `immediate`
        has no effect. `session` is a transaction of the caller's own in the database that keeps the broker: the message
        exists exactly if that is committed, and what the database refuses is raised as its client does.

        Raises EncodeError, InvalidArgument, Unroutable, Refused, NotFound, DeadlineExceeded, Blocked.
        """
        default = self.exchange
        target = default if not exchange or isinstance(exchange, str) else exchange
        try:
            name, mode = target.name, delivery_mode or target.delivery_mode or 2
            carried = dict(headers) if headers else {}
        except (AttributeError, TypeError, ValueError):
            table("headers", headers)
            raise mistaken("exchange", exchange, "an Exchange or the name of one") from None
        properties["delivery_mode"] = mode if mode in _MODES else delivery_mode_number(mode)
        if expiration is not None or delay is not None:
            write_times(properties, carried, expiration, delay)
        written: Any = body
        if content_type:
            written, content_type, content_encoding, _ = encode(body, None, None, content_type, content_encoding)
        else:
            content_type, content_encoding, written = dumps(body, serializer or self.serializer)
            if not isinstance(written, bytes):
                written = text.write(written, content_encoding)
        compression = self.compression if compression is None else compression
        if compression:
            written, carried["compression"] = compress(written, compression)
        if self.auto_declare:
            if default is not self._default or default.name is not self._default_name:
                self._learn(default)
            if self._default_key is not None and self._default_key not in self._declared:
                declare = [*listed("declare", declare or (), _TO_DECLARE), default]
        send = self._retried(self._publish, retry, retry_policy) if retry else self._publish
        if session is not None:  # tracers that take the place of _publish know nothing of it
            send = partial(send, session=session)
        await send(
            written,
            priority,
            content_type,
            content_encoding,
            carried,
            properties,
            self.routing_key if routing_key is None else routing_key,
            mandatory,
            immediate,
            exchange if isinstance(exchange, str) and exchange else name,
            declare,
            timeout,
            confirm_timeout,
            retry,
            retry_policy,
        )

    async def _publish(
        self,
        body: bytes,
        priority: int,
        content_type: str | None,
        content_encoding: str | None,
        headers: dict[str, Any],
        properties: dict[str, Any],
        routing_key: str,
        mandatory: bool,
        immediate: bool,
        exchange: str,
        declare: Entities | None,
        timeout: float | None = None,
        confirm_timeout: float | None = None,
        retry: bool = False,
        retry_policy: Mapping[str, Any] | None = None,
        session: Any = None,
    ) -> None:
        link = self._link
        if link is None or not link.is_open:
            link = (await self._attach()).transport_channel
        if declare:
            await self._declare_all(declare)
        if headers or len(properties) > 1:
            composed = compose(properties, priority, content_type, content_encoding, headers)
        else:
            key = (content_type, content_encoding, priority, properties["delivery_mode"])
            composed = self._plain.get(key) or self._remember(key, properties)
        if (
            routing_key.__class__ is not str
            or exchange.__class__ is not str
            or len(routing_key) > _SURELY_SHORT
            or len(exchange) > _SURELY_SHORT
        ):
            check_name("routing key", routing_key)
            check_name("exchange", exchange)
        if timeout is not None or confirm_timeout is not None:
            timeout = total(timeout, confirm_timeout)
        if (self.batches or session is not None) and await self._collected(
            Outgoing(body, composed, exchange, routing_key, mandatory), session, timeout
        ):
            return
        try:
            await link.publish(body, composed, exchange, routing_key, mandatory, timeout)
        except errors.NotFound:
            self._declared.discard(self._default_key)
            raise
        if self._observer is not None:
            self._observer.published(Outgoing(body, composed, exchange, routing_key, mandatory))

    async def _collected(self, message: Outgoing, session: Any, timeout: float | None) -> bool:
        """Put a message into the batch that is open here, or publish it by the caller's session, if there is one."""
        batch = open_batch(self)
        if batch is not None:
            await batch.add(message, session)
        elif session is not None:
            await self._send_all([message], timeout, session)
        return batch is not None or session is not None

    def _remember(self, key: tuple[Any, ...], properties: Mapping[str, Any]) -> Properties:
        """Compose properties that many messages have alike; whoever carries them may know them by identity."""
        content_type, content_encoding, priority, _ = key
        if len(self._plain) >= _REMEMBERED:
            self._plain = {}
        composed = self._plain[key] = compose(properties, priority, content_type, content_encoding)
        return composed

    async def publish_many(self, messages: Iterable[Any], max_size: int = DEFAULT_BATCH_SIZE, **options: Any) -> int:
        """Publish payloads in order, `max_size` in one step, and give their number.

        `options` are those of `publish` for all of them; a pair of a payload and a dict has options of its own
        besides. After an error, the steps before are published, and the failing one may be in part.
        """
        retry, policy, timeout = options.pop("retry", False), options.pop("retry_policy", None), options.get("timeout")
        count = 0
        async with Batch(self, max_size, retry, policy) as batch:
            for each in messages:
                body, own = each if _is_pair(each) else (each, {})
                await self.publish(body, **{**options, **own})
                count += 1
            await batch.flush(timeout)
        return count

    def batch(
        self,
        max_size: int = DEFAULT_BATCH_SIZE,
        retry: bool = False,
        retry_policy: Mapping[str, Any] | None = None,
    ) -> Batch:
        """Collect what is published inside `async with producer.batch():` and send it in steps of `max_size`.

        The last step is sent at the end of the block, unless that ends by an exception; `flush()` of what the block is
        given sends at once. With `retry` a step is repeated after reconnecting.
        """
        return Batch(self, max_size, retry, retry_policy)

    async def send_all(
        self,
        messages: Sequence[Outgoing],
        timeout: float | None = None,
        retry: bool = False,
        retry_policy: Mapping[str, Any] | None = None,
        session: Any = None,
    ) -> None:
        """Publish messages that are in their final form, in one step where the transport has such."""
        await self._retried(self._send_all, retry, retry_policy)(messages, timeout, session)

    async def _send_all(self, messages: Sequence[Outgoing], timeout: float | None, session: Any) -> None:
        link = (await self._attach()).transport_channel
        if session is None:
            await link.publish_many(messages, timeout)
        else:
            await _transactional(link).publish_within(session, messages, timeout)
        if self._observer is not None:
            for message in messages:
                self._observer.published(message)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until the broker has answered for all that was published, and raise what went wrong with it."""
        check_timeout(timeout, "for the transport's default")
        if self._link is not None and self._link.is_open:
            await self._link.flush(timeout)

    # -------------------------------------------------------------------------------------------------- declare

    async def declare(self) -> None:
        """Declare the exchange, whether or not that has been done."""
        if self.exchange.name:
            await self.exchange.declare(channel=await self.channel)

    async def maybe_declare(
        self, entity: ExchangeDescription | QueueDescription | None, retry: bool = False, **retry_policy: Any
    ) -> bool:
        """Declare an exchange or queue unless that has been done on this connection; True: it was done now."""
        if entity is None:
            return False
        return await self._retried(self._declare_once, retry, retry_policy)(entity)

    async def _declare_all(self, entities: Entities) -> None:
        for entity in listed("declare", entities, _TO_DECLARE):
            if not isinstance(entity, ExchangeDescription | QueueDescription):
                raise mistaken("each of declare", entity, "an exchange or queue")
            if not is_declared(entity, self._declared):
                await self._declare_once(entity)

    async def _declare_once(self, entity: ExchangeDescription | QueueDescription) -> bool:
        return await declare_once(entity, await self.channel)

    def _learn(self, exchange: Exchange) -> None:
        """Find out by what key the default exchange is known once it is declared; None where it never has to be."""
        self._default, self._default_name = exchange, exchange.name
        self._default_key = None
        if exchange.declarable:
            self._default_key = exchange.declaration_key() if exchange.can_cache_declaration else ""

    # -------------------------------------------------------------------------------------------------- channel

    @property
    async def channel(self) -> Channel:
        """The channel that it publishes on, opened where needed; assigning another moves to that."""
        return await self._attach()

    @channel.setter
    def channel(self, channel: Channel | Client) -> None:
        self.revive(channel)

    def revive(self, channel: Channel | Client) -> None:
        """Move to another channel or connection, as after a reconnect; nothing is sent before the next message."""
        self._move_to(channel)
        self._leave_channel()
        self._declared = client_of(channel).declared_entities
        self.exchange = self.exchange.bind(channel)

    async def _attach(self) -> Channel:
        channel = await self._current_channel()
        if channel is not self._channel:
            self._leave_channel()
            self._observer = channel.client.observer
            if self.on_return is not None:
                channel.events["basic_return"].add(self.on_return)
            self._channel = channel
        self._link = channel.transport_channel
        return channel

    def _leave_channel(self) -> None:
        if self._channel is not None and self.on_return is not None:
            self._channel.events["basic_return"].discard(self.on_return)
        self._channel = self._link = None

    async def release(self) -> None:
        """Flush, and let go of the channel; the next message takes it again. A pool replaces this by its own."""
        await self.flush()
        self._leave_channel()

    close = release

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.release()

    def __reduce__(self) -> tuple[Any, ...]:
        given = (None, self.exchange, self.routing_key, self.serializer, self.auto_declare, self.compression)
        return type(self), given

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to exchange {self.exchange.name!r}: on {self._anchor!r}>"


def _exchange(given: ExchangeDescription | str | None) -> Exchange:
    if given is None:
        return Exchange()
    if isinstance(given, str):
        return Exchange(given, no_declare=True)
    return given if isinstance(given, Exchange) else adopt(given)


def _transactional(link: AsyncTransportChannel) -> AsyncTransactionalChannel:
    if isinstance(link, AsyncTransactionalChannel):
        return link
    text = "session= is for brokers kept in the caller's own database: this one is elsewhere, publish after your commit"
    raise errors.make(errors.NotSupported, text)


def _is_pair(each: Any) -> bool:
    return isinstance(each, tuple) and len(each) == 2 and isinstance(each[1], dict)  # noqa: PLR2004 - a pair
