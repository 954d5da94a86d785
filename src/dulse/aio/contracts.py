"""What entities, channels, producers and consumers ask of each other across the order of imports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dulse.model.commands import Command
from dulse.transport import Observer

OnMessage = Callable[[Any], Any]
"""Called with a Message; plain or async."""


class Verbs(Protocol):
    """What a bound exchange or queue asks of its channel."""

    @property
    def channel_id(self) -> int:
        """The channel's number."""
        ...

    @property
    def client(self) -> Client:
        """The Connection that the channel belongs to."""
        ...

    async def execute(self, command: Command) -> Any:
        """Change the topology and give the reply."""
        ...

    async def basic_publish(
        self, message: Any, exchange: str = "", routing_key: str = "", mandatory: bool = False
    ) -> None:
        """Publish a message."""
        ...

    async def basic_get(self, queue: str, no_ack: bool = False) -> Any:
        """Take one message, or None."""
        ...

    async def basic_consume(
        self,
        queue: str,
        no_ack: bool = False,
        consumer_tag: str = "",
        callback: OnMessage | None = None,
        on_cancel: Callable[[str], Any] | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        """Start a consumer and give its tag."""
        ...

    async def basic_cancel(self, consumer_tag: str) -> None:
        """End a consumer."""
        ...


class Anchor(Protocol):
    """What an entity can be bound to: a Channel, or a Connection in the place of its default channel."""

    def adopt(self, entity: Any) -> Any:
        """Give an unbound copy of an exchange, queue or binding in this front end's class."""
        ...

    @property
    async def default_channel(self) -> Verbs:
        """The channel to work on, opened where needed; a Channel gives itself."""
        ...


class Client(Anchor, Protocol):
    """What channels, producers and consumers ask of a Connection."""

    declared_entities: set[Any]
    """Keys of what has been declared; one set for the life of the Connection, emptied when it reconnects."""
    observer: Observer | None

    @property
    def connection_errors(self) -> tuple[type[BaseException], ...]:
        """The errors after which a connection has to be opened anew."""
        ...

    async def drain_events(self, timeout: float | None = None) -> Any:
        """Wait for one event and hand it over."""
        ...

    def ensure(self, obj: Any, fun: Callable[..., Any], **policy: Any) -> Callable[..., Any]:
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
