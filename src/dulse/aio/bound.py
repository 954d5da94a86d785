"""What makes a description act: being bound to a channel or connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dulse import errors
from dulse.aio.contracts import Anchor
from dulse.model.descriptions import Description

if TYPE_CHECKING:
    from dulse.aio.channel import Channel


class ChannelBound(Description):
    """A description that a channel or connection turns into a copy which can act: `entity(channel)`.

    Bound to a Connection, it works on the default channel of the moment, which is opened at the first operation.
    """

    _channel: Anchor | None = None

    def __call__(self, channel: Anchor) -> Self:
        """Give a copy bound to a channel or connection."""
        return self.bind(channel)

    def bind(self, channel: Anchor) -> Self:
        """Give a copy bound to a channel or connection, in the class of that front end; this one stays as it is."""
        twin: Self = channel.adopt(self)
        return twin.maybe_bind(channel)

    def maybe_bind(self, channel: Anchor | None) -> Self:
        """Bind this very object, unless it is bound already or there is nothing to bind it to."""
        if self._channel is None and channel is not None:
            self._channel = channel
            self.when_bound()
        return self

    def revive(self, channel: Anchor) -> None:
        """Move to another channel, as after a reconnect; an unbound one stays unbound."""
        if self._channel is not None:
            self._channel = channel
            self.when_bound()

    def when_bound(self) -> None:
        """Do what has to be done whenever it is bound to a channel: for subclasses."""

    @property
    def is_bound(self) -> bool:
        """Whether it can act."""
        return self._channel is not None

    @property
    async def channel(self) -> Channel:
        """The channel it acts on; NotBoundError where it has none."""
        if self._channel is None:
            text = f"{self!r} cannot act: bind it first, by calling it with a channel or connection"
            raise errors.make(errors.NotBoundError, text)
        return await self._channel.default_channel

    async def _work_on(self, channel: Anchor | None) -> Channel:
        return await (self.channel if channel is None else channel.default_channel)

    def _bind_at_birth(self, channel: Anchor | None) -> None:
        if channel is not None and not isinstance(channel.adopt(self), ChannelBound):
            text = f"{self!r} and {channel!r} belong to different front ends: call it with the channel instead"
            raise errors.make(errors.InvalidArgument, text)
        self.maybe_bind(channel)

    def _condition(self) -> str:
        return "unbound" if self._channel is None else f"bound to {self._channel!r}"
