"""Programs that consume until they are told to stop, whatever happens to the broker."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cached_property, partial
from itertools import count
from typing import Any

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.connection import Connection
from dulse.aio.messaging import Consumer, Producer
from dulse.links.waiting.aio import finished, sleep
from dulse.policy.limits import TokenBucket

__all__ = ["ConsumerMixin", "ConsumerProducerMixin"]

_logger = logging.getLogger(__name__)


class _Stopped(Exception):
    """The program was told to stop while it was connecting."""


class ConsumerMixin:
    """A consuming program: a subclass has an attribute `connection` and says in `get_consumers` what it consumes.

    `await program.run()` goes on until `should_stop` is true, on a connection of its own that is opened again when it
    breaks. Where calls are awaited, hooks may be async; `extra_context` is a context manager.

        class Worker(ConsumerMixin):
            def __init__(self, connection):
                self.connection = connection

            def get_consumers(self, Consumer, channel):
                return [Consumer(queues=[Queue("tasks")], callbacks=[self.on_task])]

            async def on_task(self, body, message):
                await message.ack()
    """

    connection: Connection
    connect_max_retries: int | None = None
    """How often connecting is tried again; None: without end."""
    should_stop: bool = False
    """Set it, from any thread, to have `run` return within a second."""

    # -------------------------------------------------------------------------------------------- hooks

    def get_consumers(self, Consumer: Callable[..., Consumer[Any]], channel: Channel) -> Any:  # noqa: N803
        """Give a list of consumers, made by `Consumer(queues=…)` on `channel` or on others of its connection."""
        raise NotImplementedError(f"{type(self).__name__} must define get_consumers, which gives a list of consumers")

    def on_connection_revived(self) -> Any:
        """Learn that a connection is open, the first or a further one."""

    def on_consume_ready(
        self, connection: Connection, channel: Channel, consumers: Sequence[Consumer[Any]], **kwargs: Any
    ) -> Any:
        """Learn that consuming has begun; `kwargs` are those of `run`."""

    def on_consume_end(self, connection: Connection, channel: Channel) -> Any:
        """Learn that consuming has ended; the connection is open still."""

    def on_iteration(self) -> Any:
        """Be called before each event that is waited for, and at least every second."""

    async def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Handle a message that cannot be decoded: log and acknowledge it."""
        _logger.error("message %r cannot be decoded, and is acknowledged: %s", message, exc)
        await message.ack()

    def on_connection_error(self, exc: Exception, interval: float) -> Any:
        """Learn that the broker is out of reach, and will be tried again in `interval` seconds: log it."""
        _logger.warning("the broker is out of reach, trying again in %s s: %s", interval, exc)

    @asynccontextmanager
    async def extra_context(self, connection: Connection, channel: Channel) -> AsyncIterator[None]:
        """Enclose consuming in a context of one's own."""
        yield

    # ---------------------------------------------------------------------------------------------- run

    async def run(self, _tokens: float = 1, **kwargs: Any) -> None:
        """Consume until `should_stop`; a broken connection is opened again, at most once a second."""
        while not self.should_stop:
            if not self.restart_limit.can_consume(_tokens):
                await sleep(self.restart_limit.expected_time(_tokens))
                continue
            try:
                async for _ in self.consume(limit=None, **kwargs):
                    pass
            except (*self.connection_errors, *self.channel_errors) as failure:
                if not self.should_stop:
                    _logger.warning("the connection to the broker is lost, opening it again: %s", failure)

    async def consume(
        self, limit: int | None = None, timeout: float | None = None, safety_interval: float = 1, **kwargs: Any
    ) -> AsyncIterator[None]:
        """Consume, giving control after each event: at most `limit`, or until `should_stop`.

        Raises DeadlineExceeded when there is none for `timeout` seconds. Every `safety_interval` seconds without an
        event it looks at `should_stop`.
        """
        with suppress(_Stopped):
            async with self.consumer_context(**kwargs) as (connection, _, _):
                async for _ in self._events(connection, limit, timeout, safety_interval):
                    yield

    async def _events(
        self, connection: Connection, limit: int | None, timeout: float | None, safety_interval: float
    ) -> AsyncIterator[None]:
        waited = 0.0
        for _ in range(limit) if limit else count():
            while not self.should_stop:
                await finished(self.on_iteration())
                try:
                    await connection.drain_events(timeout=safety_interval)
                except errors.DeadlineExceeded:
                    await connection.heartbeat_check()
                    waited += safety_interval
                    if timeout is not None and waited >= timeout:
                        raise
                    continue
                waited = 0.0
                break
            if self.should_stop:
                return
            yield

    @asynccontextmanager
    async def consumer_context(
        self, **kwargs: Any
    ) -> AsyncIterator[tuple[Connection, Channel, Sequence[Consumer[Any]]]]:
        """Connect, consume, and enter `extra_context`."""
        async with (
            self.Consumer() as (connection, channel, consumers),
            self.extra_context(connection, channel),
        ):
            await finished(self.on_consume_ready(connection, channel, consumers, **kwargs))
            yield connection, channel, consumers

    @asynccontextmanager
    async def Consumer(self) -> AsyncIterator[tuple[Connection, Channel, Sequence[Consumer[Any]]]]:  # noqa: N802
        """Connect, and consume by what `get_consumers` gives."""
        async with self.establish_connection() as connection:
            await finished(self.on_connection_revived())
            _logger.info("connected to %s", connection.as_uri())
            channel = await connection.default_channel
            make = partial(Consumer, channel, on_decode_error=self.on_decode_error)
            consumers = await finished(self.get_consumers(make, channel))
            async with AsyncExitStack() as stack:
                for consumer in consumers:
                    await stack.enter_async_context(consumer)
                yield connection, channel, consumers
            await finished(self.on_consume_end(connection, channel))

    @asynccontextmanager
    async def establish_connection(self) -> AsyncIterator[Connection]:
        """Open a connection of one's own, and close it at the end."""
        async with self.create_connection() as connection:
            await connection.ensure_connection(
                self.on_connection_error, self.connect_max_retries, callback=self._check_stop
            )
            yield connection

    def _check_stop(self) -> None:
        if self.should_stop:
            raise _Stopped

    def create_connection(self) -> Connection:
        """Make the connection to consume on."""
        return self.connection.clone()

    @cached_property
    def restart_limit(self) -> TokenBucket:
        """How often consuming may begin again."""
        return TokenBucket(1)

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """What tells that the way to the broker does not work."""
        return self.connection.connection_errors

    @property
    def channel_errors(self) -> tuple[type[Exception], ...]:
        """What the broker refuses."""
        return self.connection.channel_errors


class ConsumerProducerMixin(ConsumerMixin):
    """A consuming program that publishes too, by `producer`, on a second connection."""

    @property
    def producer(self) -> Producer[Any]:
        """A producer that threads (tasks) may share; it connects at the first message."""
        made: Producer[Any] | None = self.__dict__.get("_producer")
        return made or self.__dict__.setdefault("_producer", self._publishing().Producer())

    @property
    async def producer_connection(self) -> Connection:
        """The connection to publish on, opened where needed."""
        return await self._publishing().ensure_connection(self.on_connection_error, self.connect_max_retries)

    def _publishing(self) -> Connection:
        made: Connection | None = self.__dict__.get("_producer_connection")
        return made or self.__dict__.setdefault("_producer_connection", self.connection.clone())

    async def on_consume_end(self, connection: Connection, channel: Channel) -> None:
        """Close the second connection."""
        self.__dict__.pop("_producer", None)
        publishing: Connection | None = self.__dict__.pop("_producer_connection", None)
        if publishing is not None:
            await publishing.close()
