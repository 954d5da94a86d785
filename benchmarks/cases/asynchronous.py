"""The asyncio API on memory and sqlite: one task, and a hundred tasks that publish at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from benchmarks.bodies import BYTES
from dulse.aio import Connection, Consumer, Producer, Queue


def report(folder: Path, share: float) -> Iterable[str]:
    """Measure publish, and deliver + ack."""
    yield "asyncio API, 1 KiB bytes: us of CPU (messages/s)"
    yield f"  {'':22}{'publish':>20}{'100 tasks':>20}{'deliver + ack':>20}"
    for name, url, count in (
        ("memory", "memory://bench-asyncio", 20_000),
        ("sqlite, normal", f"sqlite:///{folder}/asyncio.db?durability=normal", 2_000),
    ):
        cells = asyncio.run(_measure(url, max(200, int(count * share))))
        yield f"  {name:22}" + "".join(f"{cell:>20}" for cell in cells)


async def _measure(url: str, count: int) -> list[str]:
    async with Connection(url) as connection:
        producer = Producer(connection, routing_key="bench")
        await producer.publish(BYTES, declare=[Queue("bench")])

        async def publish() -> None:
            for _ in range(count):
                await producer.publish(BYTES)

        async def publish_in_tasks() -> None:
            async def some() -> None:
                for _ in range(count // 100):
                    await producer.publish(BYTES)

            await asyncio.gather(*(some() for _ in range(100)))

        async def consume() -> None:
            async with Consumer(connection, [Queue("bench")], on_message=lambda message: message.ack()):
                for _ in range(count):
                    await connection.drain_events(timeout=10)

        return [await _timed(work, count) for work in (publish, publish_in_tasks, consume)]


async def _timed(work: Callable[[], Awaitable[None]], count: int) -> str:
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return f"{cpu / count * 1e6:.1f} ({count / wall:,.0f})"
