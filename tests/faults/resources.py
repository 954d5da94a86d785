"""Programs that report what they use of the machine, for test_resources."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

from dulse import Connection, Message, Queue, aio, errors
from tests.faults.programs import say


def consume_nothing(url: str, queues: int, seconds: float) -> None:
    """Wait for messages in so many queues, and say the part of a core that it took."""
    with Connection(url) as connection:
        connection.Consumer([Queue(f"q{n}") for n in range(queues)], on_message=lambda _: None).consume()
        _drain(connection, 1.0)
        burnt, started = time.process_time(), time.monotonic()
        _drain(connection, seconds)
        say((time.process_time() - burnt) / (time.monotonic() - started))


def consume_nothing_by_tasks(url: str, queues: int, seconds: float) -> None:
    """Do the same in an event loop."""

    async def main() -> None:
        async with aio.Connection(url) as connection:
            consumer = connection.Consumer([aio.Queue(f"q{n}") for n in range(queues)], on_message=lambda _: None)
            await consumer.consume()
            await _drain_async(connection, 1.0)
            burnt, started = time.process_time(), time.monotonic()
            await _drain_async(connection, seconds)
            say((time.process_time() - burnt) / (time.monotonic() - started))

    asyncio.run(main())


def _drain(connection: Connection, seconds: float) -> None:
    try:
        connection.drain_events(timeout=seconds)
    except errors.DeadlineExceeded:
        return


async def _drain_async(connection: aio.Connection, seconds: float) -> None:
    try:
        await connection.drain_events(timeout=seconds)
    except errors.DeadlineExceeded:
        return


def open_and_close(url: str, cycles: int) -> None:
    """Say how many descriptors, threads and bytes are more after so many cycles than after the first twenty."""
    tracemalloc.start()
    for _ in range(20):
        _cycle(url)
    before = _held()
    for _ in range(cycles):
        _cycle(url)
    say([after - earlier for after, earlier in zip(_held(), before, strict=True)])


def _cycle(url: str) -> None:
    with Connection(url) as connection:
        queue = Queue("work")(connection.channel())
        queue.declare()
        connection.Producer().publish("x", routing_key="work")
        connection.Consumer(Queue("work"), on_message=lambda message: message.ack()).consume()
        connection.drain_events(timeout=5)


def open_and_close_by_tasks(url: str, cycles: int) -> None:
    """Do the same in an event loop."""

    async def cycle() -> None:
        async with aio.Connection(url) as connection:
            await aio.Queue("work")(await connection.channel()).declare()
            await connection.Producer().publish("x", routing_key="work")
            await connection.Consumer(aio.Queue("work"), on_message=lambda message: message.ack()).consume()
            await connection.drain_events(timeout=5)

    async def main() -> None:
        for _ in range(20):
            await cycle()
        before = _held()
        for _ in range(cycles):
            await cycle()
        say([after - earlier for after, earlier in zip(_held(), before, strict=True)])

    tracemalloc.start()
    asyncio.run(main())


def _held() -> tuple[int, int, int]:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), tracemalloc.get_traced_memory()[0]


def pass_messages(url: str, count: int) -> None:
    """Publish and settle so many messages; say by how many bytes the process grew after the first tenth."""
    settled = 0

    def on_message(message: Message[Any]) -> None:
        nonlocal settled
        settled += 1
        message.ack()

    with Connection(url) as connection:
        connection.Consumer(Queue("work"), on_message=on_message, prefetch_count=100).consume()
        producer = connection.Producer()
        at_first = 0
        body = b"x" * 1000
        while settled < count:
            producer.publish_many([body] * 500, routing_key="work")
            until = settled + 500
            while settled < until:
                connection.drain_events(timeout=10)
            if not at_first and settled >= count // 10:
                at_first = _resident()
        say(_resident() - at_first)


def _resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
