"""A long life of lost connections leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import dulse
from dulse import aio
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.conftest import PATIENCE
from tests.amqp_transport.test_restored import Reconnected
from tests.servers.rabbitmq import RabbitMQ

WARM_UP = 30
ROUNDS = 200
MOST_AT_ONCE = ROUNDS // 10
"""Descriptors and threads: those of the proxy, of the loop's executor and of other tests' servers come and go."""
MOST_GROWN = 16 << 20
"""Bytes of memory: 80 KiB a round. One message that stayed each time would be more."""
BODY = "x" * 100_000

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")


@pytest.fixture(autouse=True)
def _what_earlier_tests_dropped() -> None:
    """Collect it now: it does not count here, and what is said of it concerns others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


class Held(NamedTuple):
    """What this process has."""

    descriptors: int
    threads: int
    objects: int
    memory: int
    """Bytes that are resident."""

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return cls(descriptors, threading.active_count(), len(gc.get_objects()), pages * os.sysconf("SC_PAGE_SIZE"))


def assert_flat(before: Held, after: Held) -> None:
    assert after.descriptors - before.descriptors < MOST_AT_ONCE
    assert after.threads - before.threads < MOST_AT_ONCE
    assert after.objects - before.objects < ROUNDS  # less than one object a round stays
    assert after.memory - before.memory < MOST_GROWN


def test_reconnecting_again_and_again(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    observer = Reconnected()
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), observer=observer) as connection:
        channel = connection.default_channel
        queue = channel.queue_declare("", exclusive=True).queue
        found: list[bytes] = []

        def on_message(message: dulse.Message) -> None:
            found.append(message.body)
            message.ack()

        channel.basic_consume(queue, callback=on_message)

        def once() -> None:
            proxy.cut()
            observer.wait()
            found.clear()
            channel.basic_publish(BODY, "", queue)
            while not found:
                connection.drain_events(timeout=PATIENCE)

        for _ in range(WARM_UP):
            once()
        before = Held.now()
        for _ in range(ROUNDS):
            once()
        after = Held.now()
    assert_flat(before, after)


async def test_reconnecting_again_and_again_by_asyncio(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "dulse.links")  # what is captured stays
    observer = Reconnected()
    async with aio.Connection(rabbitmq.url_of(port=proxy.port), observer=observer) as connection:
        channel = await connection.default_channel
        queue = (await channel.queue_declare("", exclusive=True)).queue
        found: list[bytes] = []

        async def on_message(message: aio.Message[Any]) -> None:
            found.append(message.body)
            await message.ack()

        await channel.basic_consume(queue, callback=on_message)

        async def once() -> None:
            await asyncio.to_thread(proxy.cut)
            await asyncio.to_thread(observer.wait)
            found.clear()
            await channel.basic_publish(BODY, "", queue)
            while not found:
                await connection.drain_events(timeout=PATIENCE)

        for _ in range(WARM_UP):
            await once()
        before = Held.now()
        for _ in range(ROUNDS):
            await once()
        after = Held.now()
    assert_flat(before, after)
