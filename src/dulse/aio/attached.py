"""What producers and consumers have in common: they work on a channel, given as such or as a Connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.contracts import Client
from dulse.model.mistakes import mistaken

F = TypeVar("F", bound=Callable[..., Any])


def client_of(channel: Channel | Client) -> Client:
    """Give the Connection of a channel, or the Connection that stands for one; raise InvalidArgument for all else."""
    if isinstance(channel, Channel):
        return channel.client
    if not hasattr(type(channel), "default_channel"):  # asked of the type: asking the Connection would open one
        raise mistaken("channel", channel, "a Channel or a Connection")
    return channel


class Attached:
    """Knows its Connection, and finds the channel of the moment."""

    _anchor: Channel | Client | None = None

    @property
    def connection(self) -> Client | None:
        """The Connection; None where it has neither channel nor connection yet."""
        return self._anchor.client if isinstance(self._anchor, Channel) else self._anchor

    def _client(self) -> Client:
        client = self.connection
        if client is None:
            text = f"{self!r} has no channel: give it one, or a connection, by revive()"
            raise errors.make(errors.NotBoundError, text)
        return client

    def _move_to(self, channel: Channel | Client) -> None:
        """Take another channel or connection; a channel of our own Connection leaves us bound to that."""
        if client_of(channel) is not self._anchor:
            self._anchor = channel

    async def _current_channel(self) -> Channel:
        return await (self._anchor or self._client()).default_channel

    def _retried(self, call: F, retry: bool, policy: Mapping[str, Any] | None) -> F:
        """Wrap `call` so that it is repeated after reconnecting; where `retry` is off it stays as it is."""
        if not retry:
            return call
        client = self._client()
        try:
            return cast("F", client.ensure(self, call, **(policy or {})))
        except TypeError as error:
            text = f"retry_policy must be a mapping of arguments that Connection.ensure takes: {error}"
            raise errors.make(errors.InvalidArgument, text) from error
