"""Closing does not mind who else is just starting or ending the same consumers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from dulse import errors
from dulse.aio import Connection, Queue


async def test_a_channel_may_be_closed_while_a_consumer_of_it_is_being_cancelled(tmp_path: Path) -> None:
    async with Connection(f"sqlite:///{tmp_path}/broker.db") as connection:
        channel = await connection.channel()
        queue = Queue("queue").bind(channel)
        await queue.declare()
        await queue.consume("tag", lambda _: None)
        await asyncio.gather(queue.cancel("tag"), channel.close())
        assert (await Queue("queue").bind(connection).queue_declare(passive=True)).consumer_count == 0


async def test_closing_gives_everything_back_while_a_consumer_is_being_cancelled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/broker.db"
    async with Connection(url) as other, Connection(url) as connection:
        await other.Producer().publish("message", routing_key="queue", declare=[Queue("queue")])
        queue = Queue("queue").bind(await connection.channel())
        assert await queue.get() is not None
        await queue.consume("tag", lambda _: None)
        await asyncio.gather(queue.cancel("tag"), connection.close())
        given_back = await Queue("queue").bind(other).get(no_ack=True)
        assert given_back is not None
        assert given_back.payload == "message"


async def test_a_consumer_that_starts_while_its_channel_is_being_closed_gets_nothing(tmp_path: Path) -> None:
    async with Connection(f"sqlite:///{tmp_path}/broker.db") as connection:
        channel = await connection.channel()
        queue = Queue("queue").bind(channel)
        await queue.declare()
        started, _ = await asyncio.gather(queue.consume("tag", lambda _: None), channel.close(), return_exceptions=True)
        assert isinstance(started, errors.ChannelClosed)
        await connection.Producer().publish("message", routing_key="queue")
        with pytest.raises(errors.DeadlineExceeded):
            await connection.drain_events(timeout=0)
        status = await Queue("queue").bind(connection).queue_declare(passive=True)
        assert (status.message_count, status.consumer_count) == (1, 0)


async def test_what_is_declared_while_a_connection_is_being_closed_does_not_outlive_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/broker.db"
    async with Connection(url) as other:
        await Queue("queue").bind(other).declare()
        for wait in range(12):
            connection = Connection(url)
            await connection.connect()
            queues = [Queue("queue").bind(await connection.channel()) for _ in range(4)]

            async def consume_and_cancel(number: int, queue: Queue) -> None:
                with suppress(errors.DulseError):
                    while True:
                        await queue.consume(str(number), lambda _: None)
                        await queue.cancel(str(number))

            async def close(connection: Connection, seconds: float) -> None:
                await asyncio.sleep(seconds)
                await connection.close()

            each = [consume_and_cancel(number, queue) for number, queue in enumerate(queues)]
            await asyncio.gather(*each, close(connection, wait / 400))
        assert (await Queue("queue").bind(other).queue_declare(passive=True)).consumer_count == 0
