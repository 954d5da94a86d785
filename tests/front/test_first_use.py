"""Where the two front ends differ: a constructor of the blocking one acts at once, one of asyncio at its first use."""

from __future__ import annotations

import pytest

from dulse import errors
from dulse.aio.connection import Connection as AsyncConnection
from dulse.aio.entity import Queue as AsyncQueue
from dulse.sync.connection import Connection
from dulse.sync.entity import Queue


def test_a_blocking_consumer_declares_its_queues_when_it_is_made(url: str) -> None:
    with Connection(url) as connection:
        connection.Consumer(Queue("q"))
        assert Queue("q")(connection).queue_declare(passive=True).queue == "q"


async def test_an_asyncio_consumer_declares_its_queues_at_its_first_operation(url: str) -> None:
    async with AsyncConnection(url) as connection:
        consumer = connection.Consumer(AsyncQueue("q"))
        with pytest.raises(errors.NotFound):
            await AsyncQueue("q")(connection).queue_declare(passive=True)
        await consumer.purge()
        assert (await AsyncQueue("q")(connection).queue_declare(passive=True)).queue == "q"
