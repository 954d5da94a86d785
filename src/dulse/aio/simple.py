"""Queues to put into and get from, with the methods of the standard library's `queue.Queue`."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from time import monotonic
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Self

from dulse import errors
from dulse.aio.attached import client_of
from dulse.aio.channel import Channel
from dulse.aio.contracts import Client
from dulse.aio.entity import Exchange, Queue
from dulse.aio.message import Message
from dulse.model.entities import QueueDescription
from dulse.model.mistakes import check_timeout, mistaken

__all__ = ["SimpleBuffer", "SimpleQueue"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})

_SLICE = 1.0
"""Seconds after which a waiting `get` looks whether somebody else's draining brought it a message."""


class SimpleBase:
    """A queue with its producer and its consumer; the first `get` that waits starts consuming.

    What consuming brings is handed out in its order. One that consumes belongs to one thread (task) at a time.
    """

    Empty: ClassVar[type[Exception]] = errors.Empty
    """Raised when there is no message: `queue.Empty`."""

    def __init__(self, channel: Channel | Client, producer: Any, consumer: Any, no_ack: bool = False) -> None:
        self.producer = producer
        self.consumer = consumer
        self.no_ack = no_ack
        self.queue: Queue[Any] = consumer.queues[0]
        self.buffer: deque[Message[Any]] = deque()
        self._anchor = channel
        self._declared_on: Channel | None = None
        self._bound: Queue[Any] = self.queue
        self._consuming = False
        # Not a callback, which gets decoded messages only: one that cannot be decoded is for whoever gets it to settle.
        consumer.on_message = self.buffer.append

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.queue.name!r}: {len(self.buffer)} fetched>"

    @property
    async def channel(self) -> Channel:
        """The channel it works on, opened where needed."""
        return await self._anchor.default_channel

    # ---------------------------------------------------------------------------------------------- get

    async def get(self, block: bool = True, timeout: float | None = None) -> Message[Any]:
        """Take the next message, to be acknowledged unless `no_ack`.

        With `block`, wait at most `timeout` seconds, None: until there is one. Raises Empty when there is none.
        """
        if not block:
            return await self.get_nowait()
        check_timeout(timeout, "to wait until there is a message")
        deadline = None if timeout is None else monotonic() + timeout
        await self._consume()
        while not self.buffer:
            left = _SLICE if deadline is None else deadline - monotonic()
            if not await self._drain(max(0.0, min(left, _SLICE))) and left <= _SLICE and deadline is not None:
                raise self.Empty
        return self.buffer.popleft()

    async def get_nowait(self) -> Message[Any]:
        """Take the next message without waiting for one; raises Empty when there is none."""
        if self._consuming:
            while not self.buffer and await self._drain(0):
                continue
            if self.buffer:
                return self.buffer.popleft()
        else:
            queue = await self._declared()
            message = await queue.get(no_ack=self.no_ack, accept=self.consumer.accept)
            if message is not None:
                return message
        raise self.Empty

    async def _drain(self, seconds: float) -> bool:
        """Handle one event of the connection; False: there was none, and no message came otherwise."""
        client = (await self.channel).client
        try:
            await client.drain_events(timeout=seconds)
        except errors.DeadlineExceeded:
            return bool(self.buffer)
        return True

    async def _consume(self) -> None:
        if not self._consuming:
            await self.consumer.consume(no_ack=self.no_ack)
            self._consuming = True

    # ---------------------------------------------------------------------------------------------- put

    async def put(
        self,
        message: Any,
        serializer: str | None = None,
        headers: Mapping[str, Any] | None = None,
        compression: str | None = None,
        routing_key: str | None = None,
        **options: Any,
    ) -> None:
        """Publish a payload; further options are those of `Producer.publish`."""
        await self._declared()
        await self.producer.publish(
            message,
            serializer=serializer,
            routing_key=routing_key,
            headers=headers,
            compression=compression,
            **options,
        )

    async def _declared(self) -> Queue[Any]:
        """Give the queue bound to the channel of the moment, declared on it once."""
        channel = await self.channel
        if channel is not self._declared_on:
            self._bound = self.queue(channel)
            await self._bound.declare()
            self._declared_on = channel
        return self._bound

    # ------------------------------------------------------------------------------------------- manage

    async def clear(self) -> int:
        """Delete the messages that nobody has fetched and give their number."""
        return await (await self._declared()).purge()

    async def qsize(self) -> int:
        """Count the messages that nobody has fetched."""
        declared = await (await self._declared()).queue_declare(passive=True)
        return declared.message_count

    async def close(self) -> None:
        """Stop consuming; what was fetched and not handed out goes back to the queue."""
        if self._consuming:
            self._consuming = False
            await self.consumer.cancel()
        while self.buffer:
            message = self.buffer.popleft()
            # A channel that is closed has given back everything itself.
            if not self.no_ack and message.channel is not None and message.channel.is_open:
                await message.requeue()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def __len__(self) -> int:
        return await self.qsize()

    def __bool__(self) -> bool:
        return True


class SimpleQueue(SimpleBase):
    """A durable queue with an exchange and a routing key of the same name, or a given Queue.

    `queue_opts` and `exchange_opts` are options of Queue and Exchange, `queue_args` the queue's x- arguments.
    Messages are persistent, and to be acknowledged unless `no_ack`. `accept` names the content types that may be
    decoded.
    """

    no_ack: bool = False
    queue_opts: ClassVar[Mapping[str, Any]] = _NOTHING
    queue_args: ClassVar[Mapping[str, Any]] = _NOTHING
    exchange_opts: ClassVar[Mapping[str, Any]] = MappingProxyType({"type": "direct"})

    def __init__(
        self,
        channel: Channel | Client,
        name: str | Queue[Any],
        no_ack: bool | None = None,
        queue_opts: Mapping[str, Any] | None = None,
        queue_args: Mapping[str, Any] | None = None,
        exchange_opts: Mapping[str, Any] | None = None,
        serializer: str | None = None,
        compression: str | None = None,
        accept: Collection[str] | None = None,
    ) -> None:
        if isinstance(name, str):
            exchange = Exchange(name, **{**self.exchange_opts, **(exchange_opts or {})})
            arguments = {**self.queue_args, **(queue_args or {})}
            options = {**self.queue_opts, **(queue_opts or {})}
            queue: Queue[Any] = Queue(name, exchange, name, queue_arguments=arguments, **options)
        elif isinstance(name, QueueDescription):
            queue = name
        else:
            raise mistaken("name", name, "a Queue or the name of one")
        client = client_of(channel)
        producer = client.Producer(
            channel, queue.exchange, routing_key=queue.routing_key, serializer=serializer, compression=compression
        )
        consumer = client.Consumer(queue, channel, accept=accept)
        super().__init__(channel, producer, consumer, self.no_ack if no_ack is None else no_ack)


class SimpleBuffer(SimpleQueue):
    """Such a queue for messages that need not outlive the program: not durable, exclusive, never acknowledged."""

    no_ack: bool = True
    queue_opts: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"durable": False, "auto_delete": True, "exclusive": True}
    )
    exchange_opts: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"durable": False, "delivery_mode": "transient", "auto_delete": True}
    )
