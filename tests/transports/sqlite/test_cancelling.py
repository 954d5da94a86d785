"""What a cancelled call had taken goes to others at once, and what it had to write is written all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dulse.model.commands import DeclareQueue
from dulse.policy.clocks import SystemClock
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.aio.channel import VirtualChannel
from dulse.virtual.aio.transport import VirtualTransport
from dulse.virtual.threaded import ThreadedStorage
from tests.transports.sqlite.locking import locked

SETTINGS: dict[str, Any] = {"clock": SystemClock(), "lease": 60.0, "max_hold": None, "timeout": 30.0}


class Rig:
    """A transport with a queue of one message, and another look at the store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.transport = VirtualTransport(ThreadedStorage(SQLiteStorage(path, durability="normal")), **SETTINGS)
        self.other = SQLiteStorage(path, durability="normal")

    async def begin(self) -> VirtualChannel:
        await self.transport.open(10)
        self.other.open(10)
        channel = await self.transport.channel()
        await channel.execute(DeclareQueue("q"))
        await channel.publish(b"1", {}, "", "q")
        return channel

    async def end(self) -> None:
        await self.transport.close(10)
        self.other.close(10)


async def cancelled(call: Any) -> None:
    """Begin a call, and cancel it while it waits for the store."""
    task = asyncio.create_task(call)
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def has_happened(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it happens in a thread
            await asyncio.sleep(0.01)


async def test_another_consumer_gets_what_a_cancelled_get_took(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "broker.sqlite")
    channel = await rig.begin()
    with locked(rig.path):
        await cancelled(channel.get("q"))

    found: list[Any] = []

    def take() -> bool:
        found.extend(rig.other.reserve([("q", 1)], "another", 60_000)[0])
        return bool(found)

    await asyncio.sleep(0.5)  # the thread of the cancelled call takes the message meanwhile
    await has_happened(take)
    assert found[0].deliveries == 1
    await rig.end()


async def test_what_a_cancelled_flush_did_not_write_is_written_later(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "broker.sqlite")
    channel = await rig.begin()
    delivery = await channel.get("q")
    assert delivery is not None
    with locked(rig.path):
        await channel.ack(delivery.delivery_tag)
        await cancelled(channel.flush(timeout=0.3))
        await asyncio.sleep(0.5)  # the call of the cancelled flush fails

    await has_happened(lambda: rig.other.depth(["q"])[0] == (0, 0, 0, 0))
    await rig.end()
