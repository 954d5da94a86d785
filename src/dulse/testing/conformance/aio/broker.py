"""The broker under test, as a case has it: connections, names of its own, and an end to all that it made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
from dulse.aio.messaging import Producer
from dulse.links.waiting.aio import run_blocking
from dulse.model.capabilities import Capabilities
from dulse.testing.conformance.processes import PATIENCE, Process

LEASE = 2.0
"""Seconds of lease in cases about processes that die."""


class Child:
    """Another process, which runs a function of the module `programs`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def hear(self, seconds: float = PATIENCE) -> Any:
        """Give the next thing that it says."""
        return await run_blocking(self._process.hear, seconds)

    def tell(self, value: Any) -> None:
        """Say something to it, which its program may wait for."""
        self._process.tell(value)

    async def finish(self, seconds: float = PATIENCE) -> None:
        """Wait until it has ended by itself, in order."""
        await run_blocking(self._process.finish, seconds)

    async def kill(self) -> None:
        """End it by SIGKILL."""
        await run_blocking(self._process.kill)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.signal(number)

    def end(self) -> None:
        """See to it that it does not run any more."""
        self._process.end()


class Broker:
    """What a case is given. `main` is the connection that the short words below use."""

    def __init__(self, url: str, transport_options: Mapping[str, Any]) -> None:
        self.url = url
        self.main: Connection
        self.producer: Producer[Any]
        self._options = dict(transport_options)
        self._run = uuid4().hex[:12]
        self._names: list[str] = []
        self._connections: list[Connection] = []
        self._children: list[Child] = []

    @property
    def capabilities(self) -> Capabilities:
        """What the transport declares."""
        return self.main.transport.capabilities

    def name(self, what: str = "queue") -> str:
        """Make up a name that nobody else uses; a queue or exchange of that name is deleted at the end."""
        name = f"conformance.{self._run}.{len(self._names)}.{what}"
        self._names.append(name)
        return name

    def adopt(self, name: str) -> str:
        """Have a queue or exchange of this name deleted at the end as well."""
        self._names.append(name)
        return name

    def draft(self, *, lease: float | None = None, **options: Any) -> Connection:
        """Make a connection that is not open, to be closed at the end; `options` are those of Connection.

        `lease` is in seconds, and given where the transport has leases that end by time.
        """
        chosen = {**self._options, **options.pop("transport_options", {})}
        if lease is not None and self.capabilities.leases in {"owner", "record"}:
            chosen["lease"] = lease
        options.setdefault("connect_timeout", PATIENCE)
        connection = Connection(self.url, transport_options=chosen, **options)
        self._connections.append(connection)
        return connection

    async def connection(self, *, lease: float | None = None, **options: Any) -> Connection:
        """Open one more connection, closed at the end."""
        connection = self.draft(lease=lease, **options)
        await connection.connect()
        return connection

    # --------------------------------------------------------------------------------------- short words

    async def exchange(self, type: str = "direct", *, name: str = "", **options: Any) -> Exchange:
        """Declare an exchange, by default of a new name; `options` are those of Exchange."""
        exchange = Exchange(name or self.name("exchange"), type, **options)(self.main)
        await exchange.declare()
        return exchange

    async def queue(self, exchange: Exchange | None = None, *keys: str, name: str = "", **options: Any) -> Queue[Any]:
        """Declare a queue, by default of a new name, and bind it by each key; `options` are those of Queue."""
        queue: Queue[Any] = Queue(name or self.name(), **options)(self.main)
        await queue.declare()
        if exchange is not None:
            for key in keys or ("",):
                await queue.bind_to(exchange, key)
        return queue

    async def publish(self, exchange: Exchange | str, routing_key: str, *bodies: Any, **options: Any) -> None:
        """Publish, and wait until the broker has answered; `options` are those of `Producer.publish`."""
        for body in bodies:
            await self.producer.publish(body, routing_key, exchange=exchange, **options)
        await self.producer.flush()

    async def send(self, queue: Queue[Any], *bodies: Any, **options: Any) -> None:
        """Publish into one queue, and wait until the broker has answered."""
        await self.publish("", queue.name, *bodies, **options)

    async def spawn(self, program: str, *arguments: Any) -> Child:
        """Run a function of the module `programs` in a process of its own; it is killed at the end if it still runs."""
        form = __name__.split(".")[-2]
        child = Child(await run_blocking(Process, form, program, self.url, self._options, arguments))
        self._children.append(child)
        return child

    # --------------------------------------------------------------------------------------------- an end

    async def __aenter__(self) -> Self:
        self.main = await self._open_main()
        self.producer = self.main.Producer()
        return self

    async def _open_main(self) -> Connection:
        connection = Connection(self.url, transport_options=self._options, connect_timeout=PATIENCE)
        self._connections.append(connection)
        await connection.connect()
        return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in self._children:
            child.end()
        if error is None:
            await self._clean_up()
        else:
            # What went wrong in the case is what counts; that it cannot be cleaned up after, follows.
            with suppress(errors.DulseError):
                await self._clean_up()

    async def _clean_up(self) -> None:
        for connection in self._connections:
            await connection.close()
        if self._names:
            options = self._options
            async with Connection(self.url, transport_options=options, connect_timeout=PATIENCE) as connection:
                for name in self._names:
                    await self._delete(connection, name)

    async def _delete(self, connection: Connection, name: str) -> None:
        channel = await connection.default_channel
        with suppress(errors.ChannelError):  # it may be locked by a process that was killed, and go with that
            await channel.queue_delete(name)
        channel = await connection.default_channel
        with suppress(errors.ChannelError):
            await channel.exchange_delete(name)
