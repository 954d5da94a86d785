"""Commands to all or some of the processes of an application, and their replies: a mailbox for each process.

The messages are those of Kombu, so the two may talk to each other.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from types import UnionType
from typing import Any, ClassVar

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.common import maybe_declare, oid_from, uuid
from dulse.aio.connection import Connection
from dulse.aio.contracts import Client
from dulse.aio.entity import Exchange, Queue
from dulse.aio.messaging import Consumer, Producer
from dulse.aio.pidbox_node import Node
from dulse.aio.retrying import Stopwatch
from dulse.links.waiting.aio import finished
from dulse.policy.lamport import LamportClock

__all__ = ["REPLY_QUEUE_EXPIRES", "Mailbox", "Node"]

REPLY_QUEUE_EXPIRES = 10.0
"""Seconds after which a queue of replies that nobody uses is deleted."""

REPLY_TIMEOUT = 30.0
"""Seconds for which replies are collected where the caller names none."""

_SLICE = 0.5
"""Seconds after which a collector looks whether another one got its replies."""


class Mailbox:
    """The sending end: commands to the nodes of a namespace, by a direct or a fanout exchange, and their replies.

    `queue_ttl` and `reply_queue_ttl` are the seconds that messages stay, `queue_expires` and `reply_queue_expires`
    those that unused queues do. `accept` and `serializer` are for commands and replies. `producer_pool` is a pool, or
    what gives one when it is called. `mailbox(connection)` is the same mailbox on another connection.
    """

    node_cls: ClassVar[type[Node]] = Node
    exchange_fmt: ClassVar[str] = "%s.pidbox"
    reply_exchange_fmt: ClassVar[str] = "reply.%s.pidbox"
    accept: Collection[str] = ("json",)
    serializer: str | None = None

    def __init__(
        self,
        namespace: str,
        type: str = "direct",
        connection: Connection | None = None,
        clock: LamportClock | None = None,
        accept: Collection[str] | None = None,
        serializer: str | None = None,
        producer_pool: Any = None,
        queue_ttl: float | None = None,
        queue_expires: float | None = None,
        queue_durable: bool = False,
        queue_exclusive: bool = True,
        reply_queue_ttl: float | None = None,
        reply_queue_expires: float | None = REPLY_QUEUE_EXPIRES,
    ) -> None:
        if queue_exclusive and queue_durable:
            text = "a mailbox cannot be exclusive and durable: an exclusive queue ends with its connection"
            raise errors.make(errors.InvalidArgument, text)
        self.namespace = namespace
        self.type = type
        self.connection = connection
        self.clock = LamportClock() if clock is None else clock
        self.accept = self.accept if accept is None else accept
        self.serializer = serializer or self.serializer
        self.queue_ttl = queue_ttl
        self.queue_expires = queue_expires
        self.queue_durable = queue_durable
        self.queue_exclusive = queue_exclusive
        self.reply_queue_ttl = reply_queue_ttl
        self.reply_queue_expires = reply_queue_expires
        self.exchange = self._transient(self.exchange_fmt % namespace, type)
        self.reply_exchange = self._transient(self.reply_exchange_fmt % namespace, "direct")
        self.unclaimed: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._collecting: set[str] = set()
        self._producer_pool = producer_pool
        self._pool: Any = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.namespace!r} on {self.connection!r}>"

    def __call__(self, connection: Connection) -> Mailbox:
        """Give the same mailbox on a connection."""
        bound = copy(self)
        bound.connection = connection
        return bound

    def Node(  # noqa: N802 - the class it makes
        self,
        hostname: str | None = None,
        state: Any = None,
        channel: Channel | None = None,
        handlers: dict[str, Callable[..., Any]] | None = None,
    ) -> Node:
        """Make the node of a process; by default it has the name of the host."""
        import platform

        return self.node_cls(hostname or platform.node(), state, channel, handlers, mailbox=self)

    # --------------------------------------------------------------------------------------------- send

    async def call(
        self,
        destination: Sequence[str],
        command: str,
        kwargs: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        callback: Callable[[Any], Any] | None = None,
        channel: Channel | None = None,
    ) -> list[Any] | None:
        """Send a command to the named nodes and collect their replies, for `timeout` seconds (None: 30)."""
        return await self._broadcast(
            command, kwargs, destination, reply=True, timeout=timeout, callback=callback, channel=channel
        )

    async def cast(self, destination: Sequence[str], command: str, kwargs: Mapping[str, Any] | None = None) -> None:
        """Send a command to the named nodes."""
        await self._broadcast(command, kwargs, destination)

    async def abcast(self, command: str, kwargs: Mapping[str, Any] | None = None) -> None:
        """Send a command to all nodes."""
        await self._broadcast(command, kwargs)

    async def multi_call(
        self,
        command: str,
        kwargs: Mapping[str, Any] | None = None,
        timeout: float | None = 1,
        limit: int | None = None,
        callback: Callable[[Any], Any] | None = None,
        channel: Channel | None = None,
    ) -> list[Any] | None:
        """Send a command to all nodes and collect replies: for `timeout` seconds, or until there are `limit`."""
        return await self._broadcast(
            command, kwargs, reply=True, timeout=timeout, limit=limit, callback=callback, channel=channel
        )

    async def _broadcast(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        destination: Sequence[str] | None = None,
        reply: bool = False,
        timeout: float | None = 1,
        limit: int | None = None,
        callback: Callable[[Any], Any] | None = None,
        channel: Channel | None = None,
        serializer: str | None = None,
        pattern: str | None = None,
        matcher: str | None = None,
    ) -> list[Any] | None:
        _check("destination", destination, list | tuple)
        _check("pattern", pattern, str)
        _check("matcher", matcher, str)
        place = await self._channel(channel)
        ticket = uuid() if reply else None
        await self._publish(
            command, arguments or {}, destination, ticket, place, timeout, serializer, pattern=pattern, matcher=matcher
        )
        if ticket is None:
            return None
        wanted = len(destination) if limit is None and destination else limit
        return await self._collect(ticket, wanted, timeout, callback, place)

    async def _publish(
        self,
        type: str,
        arguments: Mapping[str, Any],
        destination: Sequence[str] | None = None,
        reply_ticket: str | None = None,
        channel: Channel | None = None,
        timeout: float | None = None,
        serializer: str | None = None,
        producer: Producer[Any] | None = None,
        pattern: str | None = None,
        matcher: str | None = None,
    ) -> None:
        message: dict[str, Any] = {
            "method": type,
            "arguments": arguments,
            "destination": destination,
            "pattern": pattern,
            "matcher": matcher,
        }
        place = await self._channel(channel)
        if reply_ticket:
            await maybe_declare(self.reply_queue, place)
            message["ticket"] = reply_ticket
            message["reply_to"] = {"exchange": self.reply_exchange.name, "routing_key": self.oid}
        headers = {
            "clock": self.clock.forward(),
            "expires": place.client.clock.time() + timeout if timeout else 0,
        }
        async with self.producer_or_acquire(producer, place) as publisher:
            await publisher.publish(
                message,
                exchange=self.exchange.name,
                declare=[self.exchange],
                headers=headers,
                serializer=serializer or self.serializer,
                retry=True,
            )

    async def _publish_reply(
        self,
        reply: Any,
        exchange: str,
        routing_key: str,
        ticket: str | None,
        channel: Channel | Client | None = None,
        producer: Producer[Any] | None = None,
        **options: Any,
    ) -> None:
        place = await self._channel(channel)
        target = self._transient(exchange, "direct")
        headers = {"ticket": ticket, "clock": self.clock.forward()}
        async with self.producer_or_acquire(producer, place) as publisher:
            await publisher.publish(
                reply,
                exchange=target,
                routing_key=routing_key,
                declare=[target],
                headers=headers,
                retry=True,
                **options,
            )

    @asynccontextmanager
    async def producer_or_acquire(
        self, producer: Producer[Any] | None = None, channel: Channel | None = None
    ) -> AsyncIterator[Producer[Any]]:
        """Give the producer, or one of the pool, or one on the channel."""
        if producer is not None:
            yield producer
        elif self.producer_pool is not None:
            async with await self.producer_pool.acquire(block=True) as pooled:
                yield pooled
        else:
            yield Producer(channel, auto_declare=False)

    @property
    def producer_pool(self) -> Any:
        """The pool of producers, if there is one; deleting the attribute, known or not, has it asked for again."""
        if self._pool is None:
            self._pool = self._producer_pool() if callable(self._producer_pool) else self._producer_pool
        return self._pool

    @producer_pool.setter
    def producer_pool(self, pool: Any) -> None:
        self._pool = pool

    @producer_pool.deleter
    def producer_pool(self) -> None:
        self._pool = None

    async def _channel(self, channel: Channel | Client | None) -> Channel:
        place = channel or self.connection
        if place is None:
            raise errors.make(errors.NotBoundError, f"{self!r} cannot act: bind it, by calling it with a connection")
        return await place.default_channel

    # ------------------------------------------------------------------------------------------ collect

    async def _collect(
        self,
        ticket: str,
        limit: int | None = None,
        timeout: float | None = 1,
        callback: Callable[[Any], Any] | None = None,
        channel: Channel | None = None,
        accept: Collection[str] | None = None,
    ) -> list[Any]:
        place = await self._channel(channel)
        clock = place.client.clock
        replies: list[Any] = []

        async def on_reply(body: Any, message: Any) -> None:
            self.clock.adjust(message.headers.get("clock") or 0)
            expires = message.headers.get("expires")
            if expires and clock.time() > expires:
                return
            named = message.headers.get("ticket", ticket)
            if named != ticket:
                # Another call of this thread collects from the same queue; what nobody waits for any more is dropped.
                if named in self._collecting:
                    self.unclaimed[named].append(body)
                return
            await add(body)

        async def add(body: Any) -> None:
            if callback is not None:
                await finished(callback(body))
            replies.append(body)

        watch = Stopwatch(clock)
        seconds = REPLY_TIMEOUT if timeout is None else timeout
        self._collecting.add(ticket)
        try:
            accepted = self.accept if accept is None else accept
            async with Consumer(place, [self.reply_queue], accept=accepted, no_ack=True, callbacks=[on_reply]):
                while limit is None or len(replies) < limit:
                    left = seconds - watch.elapsed()
                    if left <= 0:
                        break
                    with suppress(errors.DeadlineExceeded):
                        await place.client.drain_events(timeout=min(left, _SLICE))
                    for body in self.unclaimed.pop(ticket, ()):
                        await add(body)
        finally:
            self._collecting.discard(ticket)
            self.unclaimed.pop(ticket, None)
        return replies

    # ------------------------------------------------------------------------------------------- queues

    @property
    def oid(self) -> str:
        """The identifier of this mailbox in this thread: what replies are routed by."""
        return oid_from(self)

    @property
    def reply_queue(self) -> Queue[Any]:
        """The queue of this thread's replies."""
        return self.get_reply_queue()

    def get_reply_queue(self) -> Queue[Any]:
        """Make the queue of this thread's replies."""
        return self._queue(
            f"{self.oid}.{self.reply_exchange.name}",
            self.reply_exchange,
            self.oid,
            self.reply_queue_expires,
            self.reply_queue_ttl,
        )

    def get_queue(self, hostname: str) -> Queue[Any]:
        """Make the queue of a node."""
        name = f"{hostname}.{self.namespace}.pidbox"
        return self._queue(name, self.exchange, "", self.queue_expires, self.queue_ttl)

    def _queue(
        self, name: str, exchange: Exchange, routing_key: str, expires: float | None, message_ttl: float | None
    ) -> Queue[Any]:
        return Queue(
            name,
            exchange=exchange,
            routing_key=routing_key,
            durable=self.queue_durable,
            exclusive=self.queue_exclusive,
            auto_delete=not self.queue_durable,
            expires=expires,
            message_ttl=message_ttl,
        )

    def _transient(self, name: str, type: str) -> Exchange:
        return Exchange(name, type, durable=False, delivery_mode="transient")


def _check(name: str, value: object, expected: UnionType | type) -> None:
    if value is not None and not isinstance(value, expected):
        kind = "text" if expected is str else "a list of names"
        raise errors.make(errors.InvalidArgument, f"{name} must be {kind}, not {value!r}")
