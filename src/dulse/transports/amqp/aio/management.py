"""Looks at RabbitMQ's queues from outside, and moves messages: over AMQP where that can, else by the HTTP API."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from dulse import errors
from dulse.links.asynchronous.link import Link
from dulse.links.waiting.aio import run_blocking
from dulse.model.commands import DeclareQueue, QueueDeclared
from dulse.model.inspection import QueueStatus, WaitingMessage
from dulse.transports.amqp import management_queues as described
from dulse.transports.amqp import management_records as records
from dulse.transports.amqp.aio.channel import AmqpChannel
from dulse.transports.amqp.management_http import ManagementApi

T = TypeVar("T", bound=tuple[Any, ...])

logger = logging.getLogger("dulse.amqp")


class AmqpManagement:
    """The Management of one transport, and what RabbitMQ's management plugin tells besides.

    Its calls work on channels of their own. Those of the plugin take up to `timeout` of the connection each, and raise
    ConnectionRefused where it is not enabled, AuthenticationFailed where the user lacks the tag `management`.
    """

    def __init__(self, link: Link, api: ManagementApi, virtual_host: str) -> None:
        self._link = link
        self._api = api
        self._virtual_host = virtual_host

    def __repr__(self) -> str:
        return f"<AmqpManagement of {self._virtual_host!r} by {self._api!r}>"

    # ---------------------------------------------------------------------------------------------- look

    async def queues(self, names: Sequence[str] = ()) -> list[QueueStatus]:
        """Describe queues; see Management.

        All of them: by the API only, whose counts are up to five seconds old. Named ones: ready messages and consumers
        are those of this moment, by AMQP; where the API cannot be asked, the rest is unknown (None).
        """
        if not names:
            items = await run_blocking(self._api.pages, "queues", self._virtual_host)
            found = {item["name"]: item for item in items if isinstance(item.get("name"), str)}
            return [await self._listed(found[name]) for name in sorted(found)]
        for name in names:
            _check_name(name)
        return [await self._queue(name) for name in names]

    async def _listed(self, item: dict[str, Any]) -> QueueStatus:
        """Describe a queue of a list, counted by AMQP where the statistics do not know it yet, or are switched off."""
        status = self._api.read(described.status, item)
        if "messages_ready" in item and "consumers" in item:
            return status
        with suppress(errors.NotFound):  # deleted meanwhile: as it was
            return await self._counted(status)
        return status

    async def _counted(self, status: QueueStatus) -> QueueStatus:
        try:
            counts = await self._counts(status.name)
        except (errors.ResourceLocked, errors.AccessRefused):  # exclusive to others, or not ours to read
            return status
        return status._replace(ready=counts.message_count, consumers=counts.consumer_count)

    async def _queue(self, name: str) -> QueueStatus:
        try:
            item = await run_blocking(self._api.one, "queues", self._virtual_host, name)
        except errors.OperationalError as problem:
            logger.info("queue %r is described by AMQP alone: %s", name, problem)
            return described.counted(name, await self._counts(name))
        return await self._counted(self._api.read(described.status, item))

    async def _counts(self, name: str) -> QueueDeclared:
        async with self._channel() as channel:
            counts: QueueDeclared = await channel.execute(DeclareQueue(name, passive=True))
            return counts

    async def peek(self, queue: str, count: int = 1) -> list[WaitingMessage]:
        """Look at messages; see Management.

        They are taken on a channel of our own and put back to their places when it closes, so for a moment nobody else
        can get them, they are marked as redelivered, and a queue with a delivery limit may count the look.
        """
        _check_count(count)
        _check_name(queue)
        await self._check_type(queue)
        found: list[WaitingMessage] = []
        newest = 0
        async with self._channel() as channel:
            await channel.execute(DeclareQueue(queue, passive=True))
            while len(found) < count:
                delivery = await channel.get(queue)
                if delivery is None:
                    break
                found.append(described.waiting(delivery))
                newest = delivery.delivery_tag
            if found:  # the end of a channel gives them back as well, but a little later than it is told
                await channel.reject(newest, requeue=True, multiple=True)
        return found

    async def _check_type(self, queue: str) -> None:
        """Refuse streams, for which basic.get ends the whole connection."""
        try:
            item = await run_blocking(self._api.one, "queues", self._virtual_host, queue)
        except (errors.OperationalError, errors.ChannelError, errors.NotSupported) as problem:
            logger.info("whether %r is a stream is unknown: %s", queue, problem)
            return
        if item.get("type") == "stream":
            text = (
                f"queue {queue!r} is a stream, whose messages cannot be got one by one: consume it by x-stream-offset"
            )
            raise errors.make(errors.NotSupported, text)

    # ---------------------------------------------------------------------------------------------- move

    async def move(self, source: str, destination: str, limit: int = 1000) -> int:
        """Move messages; see Management.

        Each is acknowledged at the source once the broker has confirmed it at the destination: who is killed in
        between leaves it in both, never in none. The headers CC, x-delay and x-delivery-count are left out, which
        would send it elsewhere, later, or say what is not so.
        """
        _check_count(limit)
        for name in (source, destination):
            _check_name(name)
        if source == destination:
            text = f"queue {source!r} is both where messages are taken from and where they are put: name another"
            raise errors.make(errors.InvalidArgument, text)
        await self._check_type(source)
        room = await self._room(destination)
        if room == 0:
            raise described.full(destination)
        async with self._channel() as channel:
            if not channel.confirms:
                text = "moving needs confirms, or messages could be lost: leave out confirm_publish='off'"
                raise errors.make(errors.NotSupported, text)
            await channel.execute(DeclareQueue(destination, passive=True))
            counts: QueueDeclared = await channel.execute(DeclareQueue(source, passive=True))
            wanted = min(limit, counts.message_count if room is None else min(counts.message_count, room))
            return await _carry(channel, source, destination, wanted)

    async def _room(self, destination: str) -> int | None:
        """Give how many messages fit where a full queue drops its oldest ones; None: it rejects, or has no limit."""
        try:
            item = await run_blocking(self._api.one, "queues", self._virtual_host, destination)
        except (errors.OperationalError, errors.ChannelError, errors.NotSupported) as problem:
            logger.info("whether %r drops messages when it is full is unknown: %s", destination, problem)
            return None
        most = self._api.read(described.dropping_limit, item)
        if most is None:
            return None
        return max(0, most - (await self._counts(destination)).message_count)

    # ---------------------------------------------------------------------------------------------- list

    async def exchanges(self) -> list[records.ExchangeRecord]:
        """List the exchanges of this virtual host."""
        return await self._list(records.exchange, self._api.pages, "exchanges", self._virtual_host)

    async def bindings(self, queue: str | None = None) -> list[records.BindingRecord]:
        """List the bindings of this virtual host, or those to one queue. Raises NotFound."""
        if queue is None:
            return await self._list(records.binding, self._api.all, "bindings", self._virtual_host)
        _check_name(queue)
        await run_blocking(self._api.one, "queues", self._virtual_host, queue)  # or a missing one would have none
        return await self._list(records.binding, self._api.all, "queues", self._virtual_host, queue, "bindings")

    async def consumers(self) -> list[records.ConsumerRecord]:
        """List the consumers of this virtual host."""
        return await self._list(records.consumer, self._api.all, "consumers", self._virtual_host)

    async def connections(self) -> list[records.ConnectionRecord]:
        """List the connections to this virtual host; a user who is no `monitoring` one sees his own."""
        return await self._list(records.connection, self._api.pages, "vhosts", self._virtual_host, "connections")

    async def channels(self) -> list[records.ChannelRecord]:
        """List the channels in this virtual host; a user who is no `monitoring` one sees his own."""
        return await self._list(records.channel, self._api.pages, "vhosts", self._virtual_host, "channels")

    async def virtual_hosts(self) -> list[records.VirtualHostRecord]:
        """List the virtual hosts that the user may see."""
        return await self._list(records.virtual_host, self._api.all, "vhosts")

    async def _list(self, reader: Callable[[Any], T], ask: Callable[..., list[dict[str, Any]]], *path: str) -> list[T]:
        items = await run_blocking(ask, *path)
        return sorted((self._api.read(reader, item) for item in items), key=repr)

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AmqpChannel]:
        """Open a channel for one call; what was taken on it and not settled goes back when it is closed."""
        channel = await self._link.port(AmqpChannel)
        try:
            yield channel
        finally:
            with suppress(errors.ChannelError):  # the broker may have closed it
                await channel.close()


async def _carry(channel: AmqpChannel, source: str, destination: str, wanted: int) -> int:
    moved = 0
    while moved < wanted:
        delivery = await channel.get(source)
        if delivery is None:
            break
        properties = described.movable(delivery.properties)
        try:
            await channel.publish(delivery.body, properties, "", destination, mandatory=True)
        except errors.Refused:
            if not moved:
                raise described.full(destination) from None
            break
        except errors.Unroutable:
            text = f"queue {destination!r} was deleted while messages were moved to it; {moved} were, the rest stays"
            raise errors.make(errors.NotFound, text, code=404, method="move") from None
        await channel.ack(delivery.delivery_tag)
        moved += 1
    await channel.flush()
    return moved


def _check_count(count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise errors.make(errors.InvalidArgument, f"the number of messages must be at least 1, not {count!r}")


def _check_name(name: str) -> None:
    """Refuse no name, which AMQP takes for the queue declared last (AMQP 0-9-1 §4.2.5), and the API for all."""
    if not isinstance(name, str) or not name:
        raise errors.make(errors.InvalidArgument, f"the name of a queue must be a text that is not empty, not {name!r}")
