"""What messaging programs do often, under the names that Kombu's users know."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cache
from itertools import count
from typing import Any, ClassVar, Protocol

from dulse import errors
from dulse.aio.attached import client_of
from dulse.aio.channel import Channel
from dulse.aio.connection import Connection
from dulse.aio.connection_pools import ConnectionPool
from dulse.aio.contracts import Client
from dulse.aio.declaring import declare_once, is_declared
from dulse.aio.entity import Exchange, Queue
from dulse.aio.message import Message
from dulse.aio.messaging import Consumer, Producer
from dulse.aio.qos import PREFETCH_COUNT_MAX, QoS
from dulse.codecs import registry
from dulse.links.waiting.aio import finished
from dulse.model.descriptions import Attributes
from dulse.model.entities import ExchangeDescription

__all__ = [
    "PREFETCH_COUNT_MAX",
    "Broadcast",
    "QoS",
    "collect_replies",
    "declaration_cached",
    "drain_consumer",
    "eventloop",
    "generate_oid",
    "get_node_id",
    "ignore_errors",
    "insured",
    "itermessages",
    "maybe_declare",
    "oid_from",
    "revive_connection",
    "send_reply",
    "uuid",
]

_logger = logging.getLogger(__name__)


# ------------------------------------------------------------------------------------------------- identity


def uuid() -> str:
    """Give a random identifier (RFC 9562, version 4)."""
    # As uuid.uuid4 makes it; importing that module takes a tenth of the time that importing this library does.
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


@cache
def get_node_id() -> int:
    """Give the number of this process and those that it forks, made up at random."""
    return int.from_bytes(os.urandom(16), "big")


def generate_oid(node_id: int, process_id: int, thread_id: int, instance: object) -> str:
    """Give the identifier of an object of a thread of a process."""
    from uuid import NAMESPACE_OID, uuid3, uuid5

    name = f"{node_id:x}-{process_id:x}-{thread_id:x}-{id(instance):x}"
    try:
        return str(uuid3(NAMESPACE_OID, name))
    except ValueError:  # this Python is built without MD5
        return str(uuid5(NAMESPACE_OID, name))


def oid_from(instance: object, threads: bool = True) -> str:
    """Give the identifier of an object of this process, and of this thread unless `threads` is False."""
    return generate_oid(get_node_id(), os.getpid(), threading.get_ident() if threads else 0, instance)


# -------------------------------------------------------------------------------------------------- declare


class Broadcast(Queue[Any]):
    """A queue of one's own at a fanout exchange: each program that declares it gets every message.

    `name` is the exchange; `queue` names the queue, by default it is made up, with `unique` in any case.
    """

    attrs: ClassVar[Attributes] = (*Queue.attrs, ("queue", None))

    def __init__(
        self,
        name: str | None = None,
        queue: str | None = None,
        unique: bool = False,
        auto_delete: bool = True,
        exchange: Exchange | None = None,
        alias: str | None = None,
        **options: Any,
    ) -> None:
        self.queue = f"{queue or 'bcast'}.{uuid()}" if unique or not queue else queue
        super().__init__(
            self.queue,
            exchange=Exchange(name or "", type="fanout") if exchange is None else exchange,
            auto_delete=auto_delete,
            alias=alias or name,
            **options,
        )


class _Place:
    """Where an entity is to be declared, which changes when the connection does."""

    def __init__(self, channel: Channel | Client) -> None:
        self.channel = channel

    def revive(self, channel: Channel) -> None:
        self.channel = channel


def declaration_cached(entity: Exchange | Queue[Any], channel: Channel | Client) -> bool:
    """Tell whether the connection has declared an exchange or queue since it connected."""
    client = client_of(channel)
    return is_declared(entity, client.declared_entities)


async def maybe_declare(
    entity: Exchange | Queue[Any], channel: Channel | Client | None = None, retry: bool = False, **retry_policy: Any
) -> bool:
    """Declare an exchange or queue unless the connection has done so since it connected; True: it was done now.

    On `channel`, or the one that the entity is bound to. With `retry`, again when the connection breaks;
    `retry_policy` holds arguments of `Connection.ensure`.
    """
    place = _Place(await entity.channel if channel is None else channel)
    if not retry:
        return await declare_once(entity, place.channel)
    client = client_of(place.channel)

    async def declare() -> bool:
        return await declare_once(entity, place.channel)

    done: bool = await client.ensure(place, declare, **retry_policy)()
    return done


# -------------------------------------------------------------------------------------------------- consume


async def eventloop(
    conn: Client, limit: int | None = None, timeout: float | None = None, ignore_timeouts: bool = False
) -> AsyncIterator[Any]:
    """Drain events, giving control after each: at most `limit`, without end for None.

    Each is waited for `timeout` seconds. Then DeadlineExceeded is raised; with `ignore_timeouts` the next one is
    waited for, and the one that did not come counts.
    """
    for _ in range(limit) if limit else count():
        try:
            event = await conn.drain_events(timeout=timeout)
        except errors.DeadlineExceeded:
            if not ignore_timeouts:
                raise
            continue
        yield event


async def drain_consumer(
    consumer: Consumer[Any],
    limit: int | None = 1,
    timeout: float | None = None,
    callbacks: Iterable[Callable[[Any, Message[Any]], Any]] | None = None,
) -> AsyncIterator[tuple[Any, Message[Any]]]:
    """Consume, giving each payload with its message: at most `limit`, or until none comes for `timeout` seconds.

    `callbacks` replace those of the consumer. It is cancelled at the end, also when the iteration is closed.
    """
    received: deque[tuple[Any, Message[Any]]] = deque()

    def on_message(body: Any, message: Message[Any]) -> None:
        received.append((body, message))

    consumer.callbacks = [on_message, *(callbacks or ())]
    given = 0
    async with consumer:
        client = consumer.connection
        while client is not None and (not limit or given < limit):
            if not received:
                try:
                    await client.drain_events(timeout=timeout)
                except errors.DeadlineExceeded:
                    return
                continue
            given += 1
            yield received.popleft()


def itermessages(
    conn: Connection,
    channel: Channel | None,
    queue: Queue[Any],
    limit: int | None = 1,
    timeout: float | None = None,
    callbacks: Iterable[Callable[[Any, Message[Any]], Any]] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Any, Message[Any]]]:
    """Consume a queue as `drain_consumer` does; `options` are those of Consumer."""
    consumer = conn.Consumer([queue], channel, **options)
    return drain_consumer(consumer, limit, timeout, callbacks)


async def collect_replies(
    conn: Connection,
    channel: Channel | None,
    queue: Queue[Any],
    limit: int | None = 1,
    timeout: float | None = None,
    callbacks: Iterable[Callable[[Any, Message[Any]], Any]] | None = None,
    no_ack: bool = True,
    **options: Any,
) -> AsyncIterator[Any]:
    """Consume the payloads of a queue of replies; they are acknowledged where they have to be."""
    async for body, message in itermessages(conn, channel, queue, limit, timeout, callbacks, no_ack=no_ack, **options):
        if not no_ack:
            await message.ack()
        yield body


async def send_reply(
    exchange: ExchangeDescription | str,
    req: Message[Any],
    msg: Any,
    producer: Producer[Any] | None = None,
    retry: bool = False,
    retry_policy: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Answer a message where its `reply_to` says, with its `correlation_id` and in its content type.

    By default on the channel that it came on. Further options are those of `Producer.publish`.
    """
    if producer is None:
        if req.channel is None:
            text = f"{req!r} was not received, so there is no channel to answer it on: give a producer"
            raise errors.make(errors.InvalidArgument, text)
        producer = req.channel.Producer()
    defaults = {
        "routing_key": req.properties["reply_to"],
        "correlation_id": req.properties.get("correlation_id"),
        "serializer": registry.type_to_name.get(req.content_type or ""),
    }
    await producer.publish(msg, exchange=exchange, retry=retry, retry_policy=retry_policy, **{**defaults, **options})


# --------------------------------------------------------------------------------------------------- errors


class Fallible(Protocol):
    """A connection, or whatever tells which errors one may raise."""

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """What tells that the way to the broker does not work."""
        ...

    @property
    def channel_errors(self) -> tuple[type[Exception], ...]:
        """What the broker refuses."""
        ...


def ignore_errors(conn: Fallible, fun: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Any:
    """Call `fun` and ignore errors of the connection and the channel, or give a context manager that does.

    For tidying up after a connection was lost: `with ignore_errors(connection): await consumer.cancel()`.
    """
    if fun is not None:
        return _call_ignoring(conn, fun, args, kwargs)
    return _ignoring(conn)


def _ignoring(conn: Fallible) -> AbstractContextManager[None]:
    return suppress(*conn.connection_errors, *conn.channel_errors)


async def _call_ignoring(conn: Fallible, fun: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    with _ignoring(conn):
        return await finished(fun(*args, **kwargs))


async def revive_connection(
    connection: Connection,  # noqa: ARG001 - Kombu's users give it
    channel: Channel,
    on_revive: Callable[[Channel], Any] | None = None,
) -> None:
    """Tell `on_revive` of a new channel."""
    if on_revive is not None:
        await finished(on_revive(channel))


async def insured(
    pool: ConnectionPool,
    fun: Callable[..., Any],
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
    errback: Callable[[Exception, float], Any] | None = None,
    on_revive: Callable[[Channel], Any] | None = None,
    **policy: Any,
) -> Any:
    """Call `fun` with a `connection` out of a pool and a `channel`, again when the connection breaks.

    `policy` holds arguments of `Connection.ensure`; by default failures are logged.
    """
    report = errback or _report
    async with await pool.acquire(block=True) as connection:
        await connection.ensure_connection(errback=report)
        channel = await connection.default_channel
        call = connection.autoretry(fun, channel, errback=report, on_revive=on_revive, **policy)
        result, _ = await call(*args, **{**kwargs, "connection": connection})
        return result


def _report(failure: Exception, seconds: float) -> None:
    _logger.error("the connection to the broker does not work, trying again in %s s: %s", seconds, failure)
