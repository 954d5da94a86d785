"""What entities, channels, producers and consumers ask of each other across the order of imports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from dulse.policy.clocks import Clock
from dulse.transport import Observer

if TYPE_CHECKING:
    from dulse.aio.channel import Channel

OnMessage = Callable[[Any], Any]
"""Called with a Message; plain or async."""


class Anchor(Protocol):
    """What an entity can be bound to: a Channel, or a Connection in the place of its default channel."""

    def adopt(self, entity: Any) -> Any:
        """Give an unbound copy of an exchange, queue or binding in this front end's class."""
        ...

    @property
    async def default_channel(self) -> Channel:
        """The channel to work on, opened where needed; a Channel gives itself."""
        ...


class Client(Anchor, Protocol):
    """What channels, producers and consumers ask of a Connection."""

    declared_entities: set[Any]
    """Keys of what has been declared; one set for the life of the Connection, emptied when it reconnects."""
    observer: Observer | None
    clock: Clock

    @property
    def connection_errors(self) -> tuple[type[BaseException], ...]:
        """The errors after which a connection has to be opened anew."""
        ...

    async def drain_events(self, timeout: float | None = None) -> Any:
        """Wait for one event and hand it over."""
        ...

    def ensure(self, obj: Any, fun: Callable[..., Any], *args: Any, **policy: Any) -> Callable[..., Any]:
        """Wrap `fun`: when the connection breaks, reconnect, call `obj.revive(channel)`, and then `fun` again."""
        ...

    def Producer(self, channel: Any = None, *args: Any, **options: Any) -> Any:  # noqa: N802 - the class it makes
        """Make a producer."""
        ...

    def Consumer(self, queues: Any = None, channel: Any = None, *args: Any, **options: Any) -> Any:  # noqa: N802
        """Make a consumer."""
        ...


class TransportSide(Protocol):
    """What a channel shows as its `connection`: the open transport, whose `client` is the Connection."""

    @property
    def client(self) -> Client:
        """The Connection."""
        ...
