"""One open link of a Connection: what its channels show as their `connection`, and what they climb back by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.contracts import Client
from dulse.aio.inherited import inherit
from dulse.links.waiting.aio import carried_through
from dulse.model.capabilities import Capabilities
from dulse.transport import AsyncTransport, AsyncTransportChannel, Driver, Settings

CONNECTION_ERRORS: tuple[type[Exception], ...] = (errors.ConnectionError, errors.StorageError)
"""What tells that the way to the broker does not work."""

CHANNEL_ERRORS: tuple[type[Exception], ...] = (errors.ChannelError,)
"""What closes a channel and leaves the connection open."""

RECOVERABLE_CONNECTION_ERRORS: tuple[type[Exception], ...] = (
    errors.ConnectionLost,
    errors.ConnectionRefused,
    errors.StorageError,
)
"""What may go away by connecting again, where the error says that it is retryable."""

RECOVERABLE_CHANNEL_ERRORS: tuple[type[Exception], ...] = (
    errors.ChannelClosed,
    errors.ConsumerCancelled,
    errors.NoConsumers,
    errors.ResourceError,
    errors.ResourceLocked,
)
"""What may go away by itself, for a new channel."""


class Implements(NamedTuple):
    """What a transport can do, in the words of Kombu's users."""

    exchange_type: frozenset[str]
    heartbeats: bool = False
    asynchronous: bool = False
    """It can be driven by a loop over descriptors."""
    batch_publish: bool = True


class ForeignLoop(Protocol):
    """An event loop that is not ours, as Kombu's users have: it calls when a descriptor is readable."""

    def add_reader(self, fd: int, callback: Callable[..., Any], *args: Any) -> object:
        """Have the callback called with these arguments whenever there is something to read."""


class Session:
    """A link to one broker; a Connection has one after the other, each of which is opened and closed once.

    Kombu's users know it as the connection's `transport` and as its `connection`.
    """

    connection_errors = CONNECTION_ERRORS
    channel_errors = CHANNEL_ERRORS
    recoverable_connection_errors = RECOVERABLE_CONNECTION_ERRORS
    recoverable_channel_errors = RECOVERABLE_CHANNEL_ERRORS

    def __init__(self, client: Client, driver: Driver, settings: Settings) -> None:
        self.client = client
        self.driver = driver
        self.settings = settings
        self.transport: AsyncTransport = driver.open_asyncio(settings)
        self.is_open = False
        self._channels: list[Channel] = []

    def __repr__(self) -> str:
        state = "open" if self.is_open else "not open"
        return f"<Session with {self.settings.parameters.as_uri()}: {state}, {len(self.channels)} channels>"

    # ----------------------------------------------------------------------------------------- describe

    @property
    def driver_type(self) -> str:
        """The family of brokers, such as "amqp"."""
        return self.driver.driver_type or self.driver.name

    @property
    def driver_name(self) -> str:
        """The transport."""
        return self.driver.name

    def driver_version(self) -> str:
        """Give the version of the client or library underneath."""
        return self.driver.driver_version()

    @property
    def default_port(self) -> int | None:
        """The port that is used where none is given."""
        return self.driver.default_port

    @property
    def capabilities(self) -> Capabilities:
        """What this broker can do, with numbers."""
        return self.transport.capabilities

    @property
    def implements(self) -> Implements:
        """What this broker can do."""
        return Implements(self.capabilities.exchange_types, heartbeats=self.driver.heartbeats)

    @property
    def host(self) -> str:
        """Host and port, separated by a colon."""
        parameters = self.settings.parameters
        return f"{parameters.hostname or 'localhost'}:{parameters.port or self.driver.default_port}"

    @property
    def virtual_host(self) -> str:
        """The virtual host."""
        return self.settings.parameters.virtual_host or "/"

    @property
    def channels(self) -> list[Channel]:
        """The channels that are open."""
        return [channel for channel in self._channels if channel.is_open]

    # ---------------------------------------------------------------------------------------------- act

    async def open(self, timeout: float) -> None:
        """Connect within so many seconds."""
        await self.transport.open(timeout)
        self.is_open = True

    async def channel(self) -> Channel:
        """Open a channel."""
        channel = Channel(await self.transport.channel(), self)
        self._channels = [*self.channels, channel]
        return channel

    async def works(self, timeout: float) -> bool:
        """Try whether the broker answers within so many seconds; Reconnecting: the link is being replaced."""
        if not self.is_open:
            return False
        try:
            await self.transport.check(timeout)
        except errors.Reconnecting:
            raise
        except errors.OperationalError:
            return False
        return True

    def fileno(self) -> int:
        """Give a descriptor that is readable when `drain_events` may have something to hand over.

        It is for event loops that are not ours, and stays the same for the life of the link. NotSupported: the
        transport has none, or is one of asyncio.
        """
        give: Callable[[], int] | None = getattr(self.transport, "fileno", None)
        if give is None:
            text = f"transport {self.driver_name} has no descriptor to wait for: call drain_events on a thread"
            raise errors.make(errors.NotSupported, text)
        return give()

    def register_with_event_loop(self, connection: Session, loop: ForeignLoop) -> None:
        """Have a loop that is not ours hand over what comes; `connection` is an open link, for instance this one."""
        loop.add_reader(connection.fileno(), connection.on_readable)

    async def on_readable(self) -> None:
        """Hand over all that there is, without waiting."""
        with suppress(errors.DeadlineExceeded):
            while True:
                await self.client.drain_events(timeout=0)

    async def close(self, timeout: float) -> None:
        """Close the channels, give back all that was taken, and let go of the broker."""
        if self.is_open:
            self.is_open = False
            await carried_through(partial(self.transport.close, timeout))

    def inherit(self, renew: Callable[[Channel], Awaitable[AsyncTransportChannel]]) -> None:
        """Be a link that is not open yet, in a forked child; `renew` opens its channels anew when they are used."""
        inherited, self._channels = self.channels, []
        self.is_open = False
        self.transport.discard()
        self.transport = self.driver.open_asyncio(self.settings)
        for channel in inherited:
            inherit(channel, renew)

    async def renew(self, channel: Channel) -> AsyncTransportChannel:
        """Open a channel anew that was inherited."""
        renewed = await self.transport.channel()
        self._channels = [*self.channels, channel]
        return renewed


def is_retryable(failure: Exception) -> bool:
    """Tell whether trying again may help; errors that were put in the place of ours do not say, and it may."""
    return bool(getattr(failure, "retryable", True))
