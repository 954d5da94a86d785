"""Connection: what a program holds of a broker."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from dulse import errors
from dulse.aio import messaging, simple
from dulse.aio.channel import Channel
from dulse.aio.connecting import NOT_OPENED, Connecting, Errback
from dulse.aio.connection_pools import ChannelPool, ConnectionPool
from dulse.aio.contracts import Client
from dulse.aio.entity import Queue, adopt
from dulse.aio.management import Manager
from dulse.aio.retrying import Retries, Retrying, make_policy
from dulse.aio.session import (
    CHANNEL_ERRORS,
    CONNECTION_ERRORS,
    RECOVERABLE_CHANNEL_ERRORS,
    RECOVERABLE_CONNECTION_ERRORS,
    ForeignLoop,
    is_retryable,
)
from dulse.links.waiting.aio import finished
from dulse.policy.clocks import SystemClock

_logger = logging.getLogger(__name__)

_BREAKING: tuple[type[Exception], ...] = (*RECOVERABLE_CONNECTION_ERRORS, *RECOVERABLE_CHANNEL_ERRORS)
"""After these, an operation is repeated on a new channel."""

_NOT_CLOSED: tuple[type[Exception], ...] = (*CONNECTION_ERRORS, *CHANNEL_ERRORS, errors.DeadlineExceeded)


class Connection(Connecting):
    """A broker and the way to it; nothing is opened until it is needed.

    The first argument is a URL (`sqlite:///orders.db`, `memory://`, `amqp://user:password@host:5672/virtual_host`),
    several of them (separated by semicolons, or as a list) of which one at a time is connected to, or a host name with
    the parts as keywords. A URL's query may hold `connect_timeout`, `heartbeat`, `insist`, `login_method`, `ssl` and
    options of the transport; `transport_options` holds such options too. An unknown one is UnknownOption, a scheme that
    nobody serves UnknownTransport, at once. `password` may be a callable, asked at each connecting.

    `failover_strategy` puts the alternates in order: "round-robin", "shuffle", or a callable from the list of them to
    an iterable. `observer` is told what happens (see `dulse.transport.Observer`), `clock` is where times come from.

    Threads (tasks) may share a Connection, its channels and its producers; a received message, a Consumer and a
    SimpleQueue belong to one at a time. A forked child may go on using what it inherited: links of its own are opened
    when they are needed, and nothing that the parent holds is touched. Pickled and copied, it is a new connection to
    the same place.
    """

    connection_errors = CONNECTION_ERRORS
    """What tells that the way to the broker does not work: connect again."""
    channel_errors = CHANNEL_ERRORS
    """What the broker refuses; closes the channel and leaves the connection open."""
    recoverable_connection_errors = RECOVERABLE_CONNECTION_ERRORS
    """What `ensure` and `ensure_connection` answer by connecting again."""
    recoverable_channel_errors = RECOVERABLE_CHANNEL_ERRORS
    """What `ensure` answers by trying again on a new channel."""
    replace: Callable[[], Any] | None = None
    """How to give a member of a pool back as broken; set by its pool."""

    def __repr__(self) -> str:
        return f"<Connection: {self.as_uri()} at {id(self):#x}>"

    # ------------------------------------------------------------------------------------------- repeat

    def ensure(
        self,
        obj: Any,
        fun: Callable[..., Any],
        errback: Errback | None = None,
        max_retries: Retries = ...,
        interval_start: float = 1,
        interval_step: float = 1,
        interval_max: float = 1,
        on_revive: Callable[[Channel], Any] | None = None,
        retry_errors: tuple[type[Exception], ...] | None = None,
        *,
        callback: Callable[[], Any] | None = None,
        timeout: float | None = None,
        jitter: float = 0,
    ) -> Callable[..., Awaitable[Any]]:
        """Wrap `fun` so that it is called again when the connection or channel breaks, or the broker blocks.

        Before that, the connection is opened anew if it does not work, `obj.revive(channel)` is called with the
        default channel, and `on_revive(channel)` as well. Errors in `retry_errors` only have it called again.
        `max_retries` bounds the calls after the first, None means without end; by default it goes on until `timeout`
        seconds are over, or 60 if that is None too. `errback(failure, seconds)` is called before each wait and
        `callback()` every second of it; what they raise ends it. Where calls are awaited, the functions may be async.

        Raises the last failure, as OperationalError. What was sent when the connection broke may arrive twice.
        """
        policy = make_policy(max_retries, interval_start, interval_step, interval_max, timeout, jitter)
        always = tuple(retry_errors or ())
        repeated: tuple[type[Exception], ...] = (*_BREAKING, errors.Blocked, *always)
        caught: tuple[type[Exception], ...] = (*repeated, *NOT_OPENED)

        async def ensured(*args: Any, **kwargs: Any) -> Any:
            retrying = Retrying(self.clock, policy, errback, callback)
            broken = False
            while True:
                try:
                    if broken:
                        await self._revive(obj, on_revive, errback)
                        broken = False
                    return await finished(fun(*args, **kwargs))
                except caught as raised:
                    hopeful = is_retryable(raised) or isinstance(raised, (*always, *RECOVERABLE_CHANNEL_ERRORS))
                    if not hopeful or not (broken or isinstance(raised, repeated)):
                        raise
                    failure = raised
                broken = broken or isinstance(failure, _BREAKING)
                if not await retrying.again(failure, at_once=isinstance(failure, CONNECTION_ERRORS)):
                    raise retrying.surrender(failure)
                if broken:
                    await self._next_place()

        return _named(ensured, fun)

    async def _revive(self, obj: Any, on_revive: Callable[[Channel], Any] | None, errback: Errback | None) -> None:
        await self._verify()
        channel = await self._open_default_channel(await self._connect_around(errback))
        await finished(obj.revive(channel))
        if on_revive is not None:
            await finished(on_revive(channel))

    def autoretry(
        self,
        fun: Callable[..., Any],
        channel: Channel | None = None,
        errback: Errback | None = None,
        max_retries: Retries = ...,
        interval_start: float = 1,
        interval_step: float = 1,
        interval_max: float = 1,
        on_revive: Callable[[Channel], Any] | None = None,
        retry_errors: tuple[type[Exception], ...] | None = None,
        *,
        callback: Callable[[], Any] | None = None,
        timeout: float | None = None,
        jitter: float = 0,
    ) -> Callable[..., Awaitable[tuple[Any, Channel]]]:
        """Wrap `fun`, which takes a keyword `channel`, as `ensure` does; a call gives its result and the channel used.

        The first channel is `channel`, or the default channel.
        """
        holder = _Holder(channel)

        async def call(*args: Any, **kwargs: Any) -> tuple[Any, Channel]:
            used = holder.channel
            if used is None:
                used = holder.channel = await self.default_channel
            return await finished(fun(*args, channel=used, **kwargs)), used

        return self.ensure(
            holder,
            _named(call, fun),
            errback,
            max_retries,
            interval_start,
            interval_step,
            interval_max,
            on_revive,
            retry_errors,
            callback=callback,
            timeout=timeout,
            jitter=jitter,
        )

    async def revive(self, new_channel: Channel) -> None:
        """Go on with another default channel: `ensure(connection, …)` calls this."""
        channel = self._default_channel
        if channel is not None and channel is not new_channel:
            self._default_channel = None
            await self.maybe_close_channel(channel)

    async def maybe_close_channel(self, channel: Channel) -> None:
        """Close a channel; that it cannot be closed in order is no error."""
        try:
            await channel.close()
        except _NOT_CLOSED as failure:
            _logger.debug("%r could not be closed in order: %s", channel, failure)

    # ----------------------------------------------------------------------------------------- describe

    @property
    def supports_heartbeats(self) -> bool:
        """Whether the transport finds a dead peer by heartbeats."""
        return self.driver.heartbeats

    def get_heartbeat_interval(self) -> float:
        """Give the seconds between two heartbeats; 0: there are none."""
        return (self.heartbeat or 0.0) if self.driver.heartbeats else 0.0

    @property
    def is_evented(self) -> bool:
        """Whether it can be driven by a loop over descriptors."""
        return self.transport.implements.asynchronous

    def fileno(self) -> int:
        """Give a descriptor for an event loop that is not ours; see `Session.fileno`. The connection has to be open."""
        return self.transport.fileno()

    def register_with_event_loop(self, loop: ForeignLoop) -> None:
        """Have a loop that is not ours, with Kombu's `add_reader`, hand over what comes on this open connection."""
        self.transport.register_with_event_loop(self.transport, loop)

    def supports_exchange_type(self, exchange_type: str) -> bool:
        """Tell whether the broker knows a type of exchange."""
        return exchange_type in self.transport.implements.exchange_type

    @property
    def qos_semantics_matches_spec(self) -> bool:
        """Whether a prefetch count that is not global is one for the channel; RabbitMQ's, and ours, is per consumer."""
        return False

    @property
    def manager(self) -> Manager:
        """What can be seen and done besides channels: list queues, peek, move; connects when it is used."""
        return Manager(self)

    def get_manager(self) -> Manager:
        """Give `manager`."""
        return self.manager

    # --------------------------------------------------------------------------------------------- make

    def clone(self, **overrides: Any) -> Self:
        """Make a connection to the same place that is not open; `overrides` are keywords of the constructor."""
        return type(self)(**{**self._keywords(), "observer": self.observer, "clock": self.clock, **overrides})

    def adopt(self, entity: Any) -> Any:
        """Give an unbound copy of an exchange, queue or binding, in this front end's class."""
        return adopt(entity)

    def Pool(self, limit: int | None = None, **options: Any) -> ConnectionPool:  # noqa: N802 - the class it makes
        """Make a pool of connections to the same place, without limit by default."""
        return ConnectionPool(self, limit, **options)

    def ChannelPool(self, limit: int | None = None, **options: Any) -> ChannelPool:  # noqa: N802 - the class it makes
        """Make a pool of this connection's channels, without limit by default."""
        return ChannelPool(self, limit, **options)

    def Producer(  # noqa: N802 - the class it makes
        self, channel: Channel | Client | None = None, *args: Any, **options: Any
    ) -> messaging.Producer[Any]:
        """Make a producer on a channel, by default the default channel; the arguments are those of Producer."""
        return messaging.Producer(channel or self, *args, **options)

    def Consumer(  # noqa: N802 - the class it makes
        self,
        queues: Queue[Any] | Iterable[Queue[Any]] | None = None,
        channel: Channel | Client | None = None,
        *args: Any,
        **options: Any,
    ) -> messaging.Consumer[Any]:
        """Make a consumer on a channel, by default the default channel; the arguments are those of Consumer."""
        return messaging.Consumer(channel or self, queues, *args, **options)

    def SimpleQueue(  # noqa: N802 - the class it makes
        self,
        name: str | Queue[Any],
        no_ack: bool | None = None,
        queue_opts: Mapping[str, Any] | None = None,
        queue_args: Mapping[str, Any] | None = None,
        exchange_opts: Mapping[str, Any] | None = None,
        channel: Channel | Client | None = None,
        **options: Any,
    ) -> simple.SimpleQueue:
        """Make a queue to put into and get from; the arguments are those of SimpleQueue."""
        return simple.SimpleQueue(channel or self, name, no_ack, queue_opts, queue_args, exchange_opts, **options)

    def SimpleBuffer(  # noqa: N802 - the class it makes
        self,
        name: str | Queue[Any],
        no_ack: bool | None = None,
        queue_opts: Mapping[str, Any] | None = None,
        queue_args: Mapping[str, Any] | None = None,
        exchange_opts: Mapping[str, Any] | None = None,
        channel: Channel | Client | None = None,
        **options: Any,
    ) -> simple.SimpleBuffer:
        """Make such a queue for messages that need not outlive the program; the arguments are those of SimpleQueue."""
        return simple.SimpleBuffer(channel or self, name, no_ack, queue_opts, queue_args, exchange_opts, **options)

    # --------------------------------------------------------------------------------------------- end

    async def release(self) -> None:
        """Give the connection back to its pool, or close it if it has none."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and self.replace is not None:
            # Whoever gets a member of a pool next must not inherit messages that were never settled.
            await finished(self.replace())
        else:
            await self.release()

    def __copy__(self) -> Self:
        return self.clone()

    def __reduce__(self) -> tuple[Any, ...]:
        own = {"observer": self.observer, "clock": None if isinstance(self.clock, SystemClock) else self.clock}
        keywords = {**self._keywords(), **{name: value for name, value in own.items() if value is not None}}
        return _unpickled, (type(self), keywords)


class _Holder:
    """Keeps the channel that a call is repeated on."""

    def __init__(self, channel: Channel | None) -> None:
        self.channel = channel

    def revive(self, channel: Channel) -> None:
        self.channel = channel


def _unpickled(kind: type[Connection], keywords: dict[str, Any]) -> Connection:
    return kind(**keywords)


def _named(wrapper: Callable[..., Any], wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """Let a wrapper show what it wraps."""
    wrapper.__name__ = f"{getattr(wrapped, '__name__', type(wrapped).__name__)}(ensured)"
    wrapper.__doc__ = wrapped.__doc__
    wrapper.__module__ = wrapped.__module__
    return wrapper
