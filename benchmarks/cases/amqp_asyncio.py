"""The asyncio API on RabbitMQ beside aio-pika: publish and await the confirm, by 1 task and by 1,000; consume and ack.

The broker is the one at DULSE_BENCH_AMQP (default: amqp://guest:guest@localhost:5672//).
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import aio_pika
import uvloop

from benchmarks.bodies import BYTES
from dulse.aio import Connection, Queue

URL = os.environ.get("DULSE_BENCH_AMQP", "amqp://guest:guest@localhost:5672//")
QUEUE = "dulse.bench.asyncio"
ROUNDS = 5
TARGET = 10.0
"""How many times dulse's CPU aio-pika takes, at least, with 1,000 tasks."""

Publish = Callable[[], Awaitable[Any]]


class Side(NamedTuple):
    """One library, open and ready."""

    publish: Publish
    """Publishes one message and returns when it is confirmed."""
    consume: Callable[[int], Awaitable[None]]
    """Takes and acknowledges so many."""
    close: Callable[[], Awaitable[Any]]


async def dulse_side() -> Side:
    """Open dulse; each publish waits for its confirm."""
    connection = Connection(URL, transport_options={"confirm_publish": True})
    queue: Queue[Any] = Queue(QUEUE)(connection)
    await queue.declare()
    await queue.purge()
    producer = connection.Producer(routing_key=QUEUE)

    async def publish() -> None:
        await producer.publish(BYTES, delivery_mode=1)

    async def consume(count: int) -> None:
        got = 0

        async def on_message(message: Any) -> None:
            nonlocal got
            got += 1
            await message.ack()

        async with connection.Consumer([queue], on_message=on_message, prefetch_count=100):
            while got < count:
                await connection.drain_events(timeout=10)

    return Side(publish, consume, connection.close)


async def pipelined_side() -> Side:
    """Open dulse with its defaults: publish returns at once, the confirms are awaited at the end."""
    connection = Connection(URL)
    producer = connection.Producer(routing_key=QUEUE)
    await connection.default_channel

    async def publish() -> None:
        await producer.publish(BYTES, delivery_mode=1)

    async def nothing(_: int) -> None:
        return None

    async def close() -> None:
        await producer.flush()
        await connection.close()

    return Side(publish, nothing, close)


async def aio_pika_side() -> Side:
    """Open aio-pika, whose publish awaits the confirm by default."""
    connection = await aio_pika.connect(URL)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=100)
    queue = await channel.declare_queue(QUEUE, durable=True)
    exchange = channel.default_exchange

    async def publish() -> None:
        await exchange.publish(aio_pika.Message(BYTES), QUEUE)

    async def consume(count: int) -> None:
        got = 0
        done = asyncio.Event()

        async def on_message(message: Any) -> None:
            nonlocal got
            await message.ack()
            got += 1
            if got >= count:
                done.set()

        tag = await queue.consume(on_message)
        await done.wait()
        await queue.cancel(tag)

    return Side(publish, consume, connection.close)


async def _tasks(publish: Publish, count: int, tasks: int) -> None:
    async def some() -> None:
        for _ in range(count // tasks):
            await publish()

    await asyncio.gather(*(some() for _ in range(tasks)))


async def _timed(work: Awaitable[None], count: int) -> tuple[float, float]:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu / count * 1e6, count / wall


async def _measure(opened: Awaitable[Side], count: int) -> list[tuple[float, float]]:
    side = await opened
    await _tasks(side.publish, min(count, 1000), 100)  # warms up
    many = max(1000, count // 1000 * 1000)
    found = [
        await _timed(_tasks(side.publish, count // 10, 1), count // 10),
        await _timed(_tasks(side.publish, many, 1000), many),
        await _timed(side.consume(many), many),
    ]
    await side.close()
    return found


def report(_folder: Path, share: float) -> Iterable[str]:
    """Measure all in turns."""
    sides: dict[str, tuple[Callable[[], Awaitable[Side]], Callable[..., Any], int]] = {
        "dulse": (dulse_side, asyncio.run, 20_000),
        "dulse + uvloop": (dulse_side, uvloop.run, 20_000),
        "dulse, pipelined": (pipelined_side, asyncio.run, 20_000),
        "aio-pika": (aio_pika_side, asyncio.run, 5_000),
        "aio-pika + uvloop": (aio_pika_side, uvloop.run, 5_000),
    }
    samples: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in sides}
    for _ in range(1 if share < 1 else ROUNDS):
        for name, (opened, run, count) in sides.items():
            samples[name].append(run(_measure(opened(), max(1000, int(count * share)))))
    yield "asyncio API on RabbitMQ, 1 KiB transient, publish awaits its confirm: us of client CPU (messages/s)"
    yield f"  {'':20}{'1 task':>20}{'1,000 tasks':>20}{'consume + ack':>20}"
    cpu: dict[str, list[float]] = {}
    for name, rounds in samples.items():
        cpu[name] = [median(each[work][0] for each in rounds) for work in range(3)]
        rates = [median(each[work][1] for each in rounds) for work in range(3)]
        cells = [f"{used:.1f} ({rate:,.0f})" if used > 1 else "" for used, rate in zip(cpu[name], rates, strict=True)]
        yield f"  {name:20}" + "".join(f"{cell:>20}" for cell in cells)
    for peer in ("aio-pika", "aio-pika + uvloop"):
        ours = "dulse + uvloop" if "uvloop" in peer else "dulse"
        ratios = [theirs / own for theirs, own in zip(cpu[peer], cpu[ours], strict=True)]
        met = "met" if ratios[1] >= TARGET else "MISSED"
        yield (
            f"  {peer} over {ours}, CPU: 1 task {ratios[0]:.1f}x, 1,000 tasks {ratios[1]:.1f}x "
            f"(target {TARGET:g}x: {met}), consume {ratios[2]:.1f}x"
        )
