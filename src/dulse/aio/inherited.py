"""Channels that a forked child inherited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from dulse.aio.channel import Channel
from dulse.links.waiting.aio import Lock
from dulse.transport import AsyncTransportChannel, OnReturned


class InheritedChannel:
    """Stands for the parent's end of a channel, which is not the child's to use: the first call opens another."""

    def __init__(self, channel: Channel, renew: Callable[[Channel], Awaitable[AsyncTransportChannel]]) -> None:
        self.number = channel.transport_channel.number
        self.is_open = True
        self.on_returned: OnReturned | None = channel.transport_channel.on_returned
        self._channel = channel
        self._renew = renew
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<InheritedChannel {self.number}: {'not used yet' if self.is_open else 'replaced'}>"

    async def close(self, timeout: float | None = None) -> None:
        """Be closed: the parent goes on with its own."""
        self.is_open = False

    async def _renewed(self) -> AsyncTransportChannel:
        async with self._lock:
            if self.is_open:
                renewed = await self._renew(self._channel)
                renewed.on_returned = self.on_returned
                self._channel.transport_channel = renewed
                self.is_open = False
            return self._channel.transport_channel

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            return await getattr(await self._renewed(), name)(*args, **options)

        return call


def inherit(channel: Channel, renew: Callable[[Channel], Awaitable[AsyncTransportChannel]]) -> None:
    """Have a channel opened anew, by `renew`, when it is used next."""
    channel.transport_channel = cast("AsyncTransportChannel", InheritedChannel(channel, renew))
