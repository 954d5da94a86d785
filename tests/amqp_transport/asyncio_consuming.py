"""What the asyncio tests consume by."""

from __future__ import annotations

from typing import Any

from dulse.aio import Connection, Message, Queue
from tests.amqp_transport.conftest import PATIENCE


async def consumed(url: str, queue: str, wanted: set[int]) -> list[int]:
    """Consume until all of these have come, and give all that came."""
    found: list[int] = []
    missing = set(wanted)

    async def on_message(message: Message[Any]) -> None:
        found.append(int(message.body))
        missing.discard(found[-1])
        await message.ack()

    async with Connection(url) as connection:
        bound = [Queue(queue, no_declare=True)]
        async with connection.Consumer(bound, on_message=on_message, prefetch_count=500):
            while missing:
                await connection.drain_events(timeout=PATIENCE)
    return found
