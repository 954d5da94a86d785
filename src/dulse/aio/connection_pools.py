"""Pools of connections to one place, and of one connection's channels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.resource import Resource

if TYPE_CHECKING:
    from dulse.aio.connection import Connection

__all__ = ["ChannelPool", "ConnectionPool"]


class ConnectionPool(Resource["Connection"]):
    """Connections made of one, which is itself no member.

    A member connects when it is first used. After an exception inside `async with` it is closed and replaced, so that
    nobody inherits messages that were not settled. `async with await pool.acquire(block=True) as connection: …`
    """

    LimitExceeded = errors.ConnectionLimitExceeded

    def __init__(
        self,
        connection: Connection,
        limit: int | None = None,
        preload: int | None = None,
        close_after_fork: bool | None = None,
    ) -> None:
        self.connection = connection
        super().__init__(limit, preload, close_after_fork)

    def new(self) -> Connection:
        """Make a connection, which is not open."""
        return self.connection.clone()

    def prepare(self, resource: Connection) -> Connection:
        """Let the connection know its pool."""
        resource.replace = partial(self.replace, resource)
        return resource

    def collect_resource(self, resource: Connection, socket_timeout: float = 0.1) -> Any:
        """Let go of a connection, spending at most so many seconds on closing it."""
        return resource.collect(socket_timeout)

    @asynccontextmanager
    async def acquire_channel(
        self, block: bool = False, timeout: float | None = None
    ) -> AsyncIterator[tuple[Connection, Channel]]:
        """Acquire a connection for a `with`, and give it with its default channel."""
        async with await self.acquire(block, timeout) as connection:
            yield connection, await connection.default_channel


class ChannelPool(Resource[Channel]):
    """Channels of one connection; one that was closed meanwhile is replaced when it is asked for."""

    LimitExceeded = errors.ChannelLimitExceeded

    def __init__(
        self,
        connection: Connection,
        limit: int | None = None,
        preload: int | None = None,
        close_after_fork: bool | None = None,
    ) -> None:
        self.connection = connection
        super().__init__(limit, preload, close_after_fork)

    async def new(self) -> Channel:
        """Open a channel."""
        return await self.connection.channel()

    async def acquire(self, block: bool = False, timeout: float | None = None) -> Channel:
        """Take a channel that is open; see `Resource.acquire`."""
        while True:
            channel = await super().acquire(block, timeout)
            if channel.is_open:
                return channel
            await self.replace(channel)
