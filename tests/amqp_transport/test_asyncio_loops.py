"""The asyncio link works in any loop, without threads and descriptors left behind, and bounds what it reads ahead."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from dulse.aio import Connection, Message, Queue
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.conftest import PATIENCE
from tests.servers.rabbitmq import RabbitMQ

Run = Callable[[Coroutine[Any, Any, None]], None]


def run_uvloop(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        work.close()
        pytest.skip("uvloop is not installed")
    uvloop.run(work)


RUNS = pytest.mark.parametrize("run", [asyncio.run, run_uvloop], ids=["asyncio", "uvloop"])


async def go_round(connection: Connection, name: str, total: int, disturb: Callable[[], object]) -> None:
    """Publish, disturb in the middle, and consume everything."""
    queue: Queue[Any] = Queue(name)(connection)
    await queue.declare()
    missing = set(range(total))

    async def on_message(message: Message[Any]) -> None:
        missing.discard(int(message.body))
        await message.ack()

    producer = connection.Producer(routing_key=name)
    async with connection.Consumer([queue], on_message=on_message, prefetch_count=100):
        for number in range(total):
            if number == total // 2:
                await asyncio.to_thread(disturb)
            await producer.publish(str(number).encode())
        while missing:
            await connection.drain_events(timeout=PATIENCE)
    await producer.flush()


@RUNS
def test_nothing_is_lost_by_a_reset(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, run: Run) -> None:
    async def main() -> None:
        async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
            await go_round(connection, name, 2000, proxy.cut)
        assert proxy.connections >= 2

    run(main())


@RUNS
def test_tls_works(rabbitmq: RabbitMQ, name: str, run: Run) -> None:
    async def main() -> None:
        told = {"ca_certs": str(rabbitmq.authority.certificate)}
        async with Connection(rabbitmq.tls_url, ssl=told) as connection:
            await go_round(connection, name, 500, lambda: None)

    run(main())


@RUNS
def test_a_thousand_tasks_publish_and_await_their_confirms(rabbitmq: RabbitMQ, name: str, run: Run) -> None:
    async def main() -> None:
        async with Connection(rabbitmq.url, transport_options={"confirm_publish": True}) as connection:
            queue: Queue[Any] = Queue(name)(connection)
            await queue.declare()
            producer = connection.Producer(routing_key=name)
            await asyncio.gather(*(producer.publish(str(number).encode()) for number in range(1000)))
            declared = await queue.queue_declare(passive=True)
            assert declared.message_count == 1000

    run(main())


def held() -> tuple[int, int, int]:
    """Count descriptors, threads but for those of to_thread, and tasks."""
    threads = [each for each in threading.enumerate() if "asyncio_" not in each.name]
    return len(list(Path("/proc/self/fd").iterdir())), len(threads), len(asyncio.all_tasks())


@pytest.mark.timeout(120)
@RUNS
def test_reconnecting_leaves_nothing_behind(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, run: Run) -> None:
    async def main() -> None:
        async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
            queue: Queue[Any] = Queue(name)(connection)
            await queue.declare()
            producer = connection.Producer(routing_key=name)
            await producer.publish(b"message")
            await producer.flush()
            before = held()
            for _ in range(30):
                await asyncio.to_thread(proxy.cut)
                await producer.publish(b"message")
                await producer.flush(PATIENCE)
            async with asyncio.timeout(PATIENCE):
                while any(now > then for now, then in zip(held(), before, strict=True)):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)  # the last socket is closed a little later

    run(main())


def test_the_link_starts_no_thread(rabbitmq: RabbitMQ, name: str) -> None:
    async def main() -> None:
        before = threading.active_count()
        async with Connection(rabbitmq.url) as connection:  # by address: a name would be looked up on a thread
            await go_round(connection, name, 100, lambda: None)
            started = {each.name for each in threading.enumerate() if "asyncio_" not in each.name}
        assert len(started) <= before

    asyncio.run(main())


@RUNS
def test_what_nobody_drains_is_not_read_without_bound(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, run: Run
) -> None:
    body, total = b"x" * 10_000, 3000

    async def main() -> None:
        async with Connection(rabbitmq.url) as connection:
            queue: Queue[Any] = Queue(name)(connection)
            await queue.declare()
            producer = connection.Producer(routing_key=name)
            for _ in range(total):
                await producer.publish(body)
        async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
            found: list[int] = []
            channel = await connection.channel()
            link: Any = channel.transport_channel.link  # type: ignore[attr-defined]
            await channel.basic_consume(name, no_ack=True, callback=lambda message: found.append(len(message.body)))
            while not link.wire.is_paused:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            assert len(link.ready) * len(body) < 4 << 20
            producer = connection.Producer(routing_key="nowhere")
            await producer.publish(b"confirmed all the same")
            await producer.flush(PATIENCE)
            while len(found) < total:
                await connection.drain_events(timeout=PATIENCE)
            assert found == [len(body)] * total

    run(main())
