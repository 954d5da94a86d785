"""Receiving in cases: consumers that keep what they are given, and waits that end as soon as they can."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.aio.message import Message
from dulse.links.waiting.aio import sleep, spawn

WITHIN = 10.0
"""Seconds that a case waits for what must come."""

GIVEN_BACK = 2.0
"""Seconds within which what a closed channel held is ready again: a broker may learn of its end later than we do."""

MOMENT = 0.01
"""Seconds between two looks."""

TRIES = 4
"""Attempts of which one must be in time: a machine that stands still makes one of them late, a fault makes all late."""

QUIET = 0.25
"""Seconds that a case waits to see that nothing comes."""


class Listener:
    """A consumer of one queue that keeps what it is given, in order, and settles nothing."""

    def __init__(self, queue: Queue[Any], channel: Channel, tag: str) -> None:
        self.queue = queue
        self.channel = channel
        self.tag = tag
        self.messages: list[Message[Any]] = []
        self.cancelled: list[str] = []

    def payloads(self) -> list[Any]:
        """Give what the messages mean."""
        return [message.payload for message in self.messages]

    async def start(
        self, *, no_ack: bool = False, exclusive: bool = False, arguments: Mapping[str, Any] | None = None
    ) -> Listener:
        """Start to consume."""
        self.tag = await self.channel.basic_consume(
            self.queue.name,
            no_ack,
            self.tag,
            self.messages.append,
            self.cancelled.append,
            arguments,
            exclusive,
        )
        return self


async def listen(
    connection: Connection, queue: Queue[Any], *, prefetch: int = 0, tag: str = "", **options: Any
) -> Listener:
    """Consume a queue on a new channel, whose messages come while the connection is drained."""
    channel = await connection.channel()
    if prefetch:
        await channel.basic_qos(0, prefetch, False)
    return await Listener(queue, channel, tag).start(**options)


async def until(connection: Connection, is_so: Callable[[], Any], seconds: float = WITHIN) -> None:
    """Drain a connection until something is so; AssertionError if that takes longer."""
    deadline = monotonic() + seconds
    while not is_so():
        left = deadline - monotonic()
        assert left > 0, f"it was not so within {seconds:g} seconds"
        try:
            await connection.drain_events(timeout=min(left, 0.5))
        except errors.DeadlineExceeded:
            continue


async def linger(connection: Connection, seconds: float = QUIET) -> None:
    """Drain a connection for so long, whatever comes."""
    deadline = monotonic() + seconds
    while (left := deadline - monotonic()) > 0:
        try:
            await connection.drain_events(timeout=left)
        except errors.DeadlineExceeded:
            return


def keep(payloads: list[Any]) -> Callable[[Message[Any]], None]:
    """Make a consumer's callback that puts what messages mean into a list."""

    def callback(message: Message[Any]) -> None:
        payloads.append(message.payload)

    return callback


async def ready(queue: Queue[Any]) -> list[Any]:
    """Take all messages that are ready, done with, and give what they mean."""
    found = []
    while (message := await queue.get(no_ack=True)) is not None:
        found.append(message.payload)
    return found


async def take(queue: Queue[Any]) -> Message[Any]:
    """Take the message that is ready, or given back just now, to be settled."""
    deadline = monotonic() + GIVEN_BACK
    while (message := await queue.get()) is None:
        assert monotonic() < deadline, f"there is no message in {queue!r}"
        await sleep(MOMENT)
    return message


async def collect(connection: Connection, queue: Queue[Any], count: int, seconds: float = WITHIN) -> list[Message[Any]]:
    """Consume so many messages, waiting for them, and acknowledge each."""
    messages: list[Message[Any]] = []

    async def keep(message: Message[Any]) -> None:
        messages.append(message)
        await message.ack()

    async with await connection.channel() as channel:
        await channel.basic_consume(queue.name, callback=keep)
        await until(connection, lambda: len(messages) >= count, seconds)
    return messages


async def in_time(seconds: float, attempt: Callable[[], Awaitable[float]]) -> None:
    """Make attempts, which say how many seconds something took, until one took less; AssertionError if none did."""
    took: list[float] = []
    while len(took) < TRIES:
        took.append(await attempt())
        if took[-1] < seconds:
            return
    raise AssertionError(f"it took {min(took):g} seconds or more in {TRIES} attempts: at most {seconds:g} are in time")


async def eventually(is_so: Callable[[], Awaitable[bool]], seconds: float = WITHIN) -> None:
    """Ask again and again until something is so; AssertionError if that takes longer."""
    deadline = monotonic() + seconds
    while not await is_so():
        assert monotonic() < deadline, f"it was not so within {seconds:g} seconds"
        await sleep(0.02)


async def together(*calls: Callable[[], Any], seconds: float = WITHIN) -> None:
    """Make calls at the same time, each in a thread (task) of its own, and raise the first error of any of them."""
    failures: list[Exception] = []

    async def attempt(call: Callable[[], Any]) -> None:
        try:
            await call()
        except Exception as failure:  # noqa: BLE001 - it is raised below
            failures.append(failure)

    spawned = [spawn(partial(attempt, call), f"call {number}") for number, call in enumerate(calls)]
    for each in spawned:
        assert await each.join(seconds), f"{each!r} did not end within {seconds:g} seconds"
    if failures:
        raise failures[0]
