"""The contracts between the front ends and a broker: Driver, Transport, TransportChannel, Management.

A *driver* is found by URL scheme and opens a *transport*: one open link to one broker, or one open store. A transport
gives *channels*, in AMQP's sense. The front ends know nothing else of a broker. Each contract has a blocking and an
asyncio form which differ in `await` only.

*Promises that hold for every method.* Any number of threads (tasks) may call at once. Every call ends within its
`timeout` (seconds; None: the transport's default, finite) by a result or by an error of `dulse.errors`; what it has
not done then, it does not do later, except that a publish may still arrive. A ChannelError closes the channel it is
raised on, as AMQP 0-9-1 §4.2.6 has it: what the channel had not settled goes back, and other channels live on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from dulse.model.capabilities import Capabilities
from dulse.model.commands import Command
from dulse.model.inspection import QueueStatus, WaitingMessage
from dulse.model.message import Delivery, Outgoing, Properties, Returned
from dulse.model.parameters import Parameters
from dulse.policy.clocks import Clock

OnDelivery = Callable[[Delivery], Any]
"""Called for each message on the thread (task) inside `drain`; in the asyncio form its result may be awaitable."""

OnCancel = Callable[[str], Any]
"""Called with the consumer tag when the broker ends a consumer."""

OnReturned = Callable[[Returned], Any]
"""Called with a mandatory message that no queue wanted."""


class Observer(Protocol):
    """Hooks for metrics and traces (`Connection(observer=…)`); each is called after the fact and must be quick."""

    def published(self, message: Outgoing) -> None:
        """A message was given to the broker."""

    def received(self, delivery: Delivery) -> None:
        """A message was handed to a consumer."""

    def settled(self, delivery_tag: int, outcome: str) -> None:
        """A message was acknowledged ("ack"), rejected ("reject") or put back ("requeue")."""

    def reconnected(self, url: str) -> None:
        """A connection that was lost is open again; `url` has no password."""


class Settings(NamedTuple):
    """All that a driver is given to open a transport."""

    parameters: Parameters
    options: Mapping[str, Any]
    clock: Clock
    timeout: float = 30.0
    """Seconds that any call may take which names no timeout of its own."""
    observer: Observer | None = None
    places: Sequence[Parameters] = ()
    """All brokers that may be connected to, that of `parameters` first; for transports that reconnect by themselves."""
    password: Callable[[], str] | None = None
    """Gives the password that is valid now; None: the one in `parameters` is for good."""


class TransportChannel(Protocol):
    """A session of operations, in its blocking form."""

    number: int
    is_open: bool
    on_returned: OnReturned | None
    """Where it is None, publishing a mandatory message that no queue wants raises Unroutable."""

    def publish(
        self,
        body: bytes,
        properties: Properties,
        exchange: str,
        routing_key: str,
        mandatory: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Give one message to the broker; it is stored, or on its way and watched, when this returns.

        Raises Refused (a queue at its limit rejects), Unroutable, NotFound (no such exchange), Blocked.
        """
        ...

    def publish_many(self, messages: Sequence[Outgoing], timeout: float | None = None) -> None:
        """Publish in the given order, as quickly as the transport can, in one step where it has such."""
        ...

    def flush(self, timeout: float | None = None) -> None:
        """Wait until the broker has answered for every message published on this channel."""
        ...

    def execute(self, command: Command, timeout: float | None = None) -> Any:
        """Change the topology; gives the reply that the command names."""
        ...

    def consume(
        self,
        queue: str,
        on_delivery: OnDelivery,
        *,
        consumer_tag: str = "",
        no_ack: bool = False,
        exclusive: bool = False,
        arguments: Mapping[str, Any] | None = None,
        on_cancel: OnCancel | None = None,
        timeout: float | None = None,
    ) -> str:
        """Start a consumer and give its tag (made up where none is given)."""
        ...

    def cancel(self, consumer_tag: str, timeout: float | None = None) -> None:
        """End a consumer; what it was handed stays to be settled, the rest goes back. Unknown tags are no error."""
        ...

    def get(self, queue: str, *, no_ack: bool = False, timeout: float | None = None) -> Delivery | None:
        """Take one message, or None at once if there is none."""
        ...

    def ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Settle a delivery, or all up to it. A tag that is unknown or settled raises PreconditionFailed."""
        ...

    def reject(self, delivery_tag: int, requeue: bool = False, multiple: bool = False) -> None:
        """Put a delivery back to its place (`requeue`), or let it be dead-lettered or dropped."""
        ...

    def recover(self, requeue: bool = True, timeout: float | None = None) -> None:
        """Give back all that this channel has not settled, to be delivered again."""
        ...

    def prefetch(self, count: int, *, shared: bool = False) -> None:
        """Bound what is delivered and not settled; 0: no bound.

        Not shared: for each consumer started from now on. Shared: for all of the channel together, at once.
        """
        ...

    def flow(self, active: bool) -> None:
        """Pause (False) and resume (True) deliveries on this channel."""
        ...

    def close(self, timeout: float | None = None) -> None:
        """End the consumers and give back what was not settled."""
        ...


@runtime_checkable
class TransactionalChannel(Protocol):
    """A channel that may be able to publish with a transaction of the caller's own, in its blocking form."""

    def publish_within(self, session: Any, messages: Sequence[Outgoing], timeout: float | None = None) -> None:
        """Publish so that the messages exist exactly if the caller commits; `session` is what the transport names.

        Nothing is committed or rolled back here. What the caller's database refuses is raised as its own client does:
        the transaction is the caller's. NotSupported: the broker is no database, or not the caller's.
        """
        ...


class Management(Protocol):
    """What a broker may offer besides channels, in its blocking form; a refusal closes nothing.

    A transport that cannot offer it has None in its place.
    """

    def queues(self, names: Sequence[str] = ()) -> Sequence[QueueStatus]:
        """Describe these queues in the order given, or all there are in that of their names. Raises NotFound."""
        ...

    def peek(self, queue: str, count: int = 1) -> Sequence[WaitingMessage]:
        """Look at up to so many messages that would be delivered next; none of them is taken. Raises NotFound."""
        ...

    def move(self, source: str, destination: str, limit: int = 1000) -> int:
        """Move up to so many ready messages from one queue to another, the next ones first; gives their number.

        With the capability `atomic_forward` each of them is in exactly one of the queues at any moment, whatever ends
        the process. A message keeps its properties, and gets priority and time to live as if it were published to
        `destination`. Full queues are not overfilled and drop nothing: Refused is raised if there is room for none.
        Raises NotFound, ResourceLocked (exclusive to somebody else), InvalidArgument (one and the same queue).
        """
        ...


class Transport(Protocol):
    """One open link to one broker, in its blocking form."""

    @property
    def capabilities(self) -> Capabilities:
        """What this broker can do."""
        ...

    @property
    def management(self) -> Management | None:
        """What it offers besides channels, if anything."""
        ...

    def open(self, timeout: float) -> None:
        """Connect; on failure everything is as before."""
        ...

    def channel(self) -> TransportChannel:
        """Open a channel."""
        ...

    def drain(self, timeout: float | None = None) -> None:
        """Wait for one event and hand it over (at most one message); DeadlineExceeded when there was none.

        `timeout` None waits for ever; the total is kept whatever the broker sends. Several threads
        may drain: each event goes to one.
        """
        ...

    def flush(self, timeout: float | None = None) -> None:
        """Send out and await everything that was published or settled."""
        ...

    def check(self, timeout: float | None = None) -> None:
        """Do one cheap round trip to the broker; raises if it does not work."""
        ...

    def close(self, timeout: float | None = None) -> None:
        """Close all channels, give back all that was taken, let go of the broker."""
        ...

    def discard(self) -> None:
        """Forget everything without I/O: called in a forked child."""
        ...


class AsyncTransportChannel(Protocol):
    """A session of operations, in its asyncio form; each method promises what its namesake does."""

    number: int
    is_open: bool
    on_returned: OnReturned | None

    async def publish(
        self,
        body: bytes,
        properties: Properties,
        exchange: str,
        routing_key: str,
        mandatory: bool = False,
        timeout: float | None = None,
    ) -> None: ...

    async def publish_many(self, messages: Sequence[Outgoing], timeout: float | None = None) -> None: ...

    async def flush(self, timeout: float | None = None) -> None: ...

    async def execute(self, command: Command, timeout: float | None = None) -> Any: ...

    async def consume(
        self,
        queue: str,
        on_delivery: OnDelivery,
        *,
        consumer_tag: str = "",
        no_ack: bool = False,
        exclusive: bool = False,
        arguments: Mapping[str, Any] | None = None,
        on_cancel: OnCancel | None = None,
        timeout: float | None = None,
    ) -> str: ...

    async def cancel(self, consumer_tag: str, timeout: float | None = None) -> None: ...

    async def get(self, queue: str, *, no_ack: bool = False, timeout: float | None = None) -> Delivery | None: ...

    async def ack(self, delivery_tag: int, multiple: bool = False) -> None: ...

    async def reject(
        self,
        delivery_tag: int,
        requeue: bool = False,
        multiple: bool = False,
    ) -> None: ...

    async def recover(self, requeue: bool = True, timeout: float | None = None) -> None: ...

    async def prefetch(self, count: int, *, shared: bool = False) -> None: ...

    async def flow(self, active: bool) -> None: ...

    async def close(self, timeout: float | None = None) -> None: ...


@runtime_checkable
class AsyncTransactionalChannel(Protocol):
    """A channel that may be able to publish with the caller's transaction, in its asyncio form."""

    async def publish_within(
        self, session: Any, messages: Sequence[Outgoing], timeout: float | None = None
    ) -> None: ...


class AsyncManagement(Protocol):
    """What a broker may offer besides channels, in its asyncio form; each method promises what its namesake does."""

    async def queues(self, names: Sequence[str] = ()) -> Sequence[QueueStatus]: ...

    async def peek(self, queue: str, count: int = 1) -> Sequence[WaitingMessage]: ...

    async def move(self, source: str, destination: str, limit: int = 1000) -> int: ...


class AsyncTransport(Protocol):
    """One open link to one broker, in its asyncio form; each method promises what its namesake does."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def management(self) -> AsyncManagement | None: ...

    async def open(self, timeout: float) -> None: ...

    async def channel(self) -> AsyncTransportChannel: ...

    async def drain(self, timeout: float | None = None) -> None: ...

    async def flush(self, timeout: float | None = None) -> None: ...

    async def check(self, timeout: float | None = None) -> None: ...

    async def close(self, timeout: float | None = None) -> None: ...

    def discard(self) -> None: ...


class Driver(NamedTuple):
    """How to reach one kind of broker: what a transport's module declares."""

    name: str
    """The name in errors and documents, such as "sqlite"."""
    open_blocking: Callable[[Settings], Transport]
    """Check the settings (raises InvalidArgument) and make a transport that is not open yet."""
    open_asyncio: Callable[[Settings], AsyncTransport]
    default_port: int | None = None
    driver_type: str = ""
    """Kombu's word for the family of brokers, such as "amqp" or "redis"."""
    driver_version: Callable[[], str] = lambda: "N/A"
    heartbeats: bool = False
