"""A store that hangs lets the leases of no other store lapse."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from dulse.model.commands import DeclareQueue
from dulse.model.records import Put, Target
from dulse.policy.clocks import SystemClock
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.aio.transport import VirtualTransport as AsyncVirtualTransport
from dulse.virtual.sync.transport import VirtualTransport
from dulse.virtual.threaded import ThreadedStorage
from tests.transports.sqlite.locking import locked

LEASE = 2.0
SLACK = 10.0
SETTINGS: dict[str, Any] = {"clock": SystemClock(), "lease": LEASE, "max_hold": None, "timeout": 30.0}


def owners_seen_dead(path: Path, seconds: float) -> set[str]:
    """Look for so long who is past its time in a file."""
    found: set[str] = set()
    storage = SQLiteStorage(path, durability="normal")
    storage.open(5)
    end = monotonic() + seconds
    while monotonic() < end:
        found.update(storage.dead_owners()[0])
        sleep(0.02)
    storage.close(5)
    return found


def test_leases_in_one_file_are_renewed_while_another_is_locked(tmp_path: Path) -> None:
    hanging, living = tmp_path / "hanging.sqlite", tmp_path / "living.sqlite"
    transports = []
    for path in (hanging, living):
        transport = VirtualTransport(SQLiteStorage(path, durability="normal"), **SETTINGS)
        transport.open(30)
        transports.append(transport)
        channel = transport.channel()
        channel.execute(DeclareQueue("q"))
        channel.publish(b"1", {}, "", "q")
        delivery = channel.get("q")
        assert delivery is not None

    with locked(hanging):
        dead = owners_seen_dead(living, LEASE * 2.5)

    assert dead == set()
    for transport in transports:
        transport.close(10)


def test_leases_in_one_file_are_renewed_by_asyncio_while_another_is_locked(tmp_path: Path) -> None:
    async def run() -> set[str]:
        hanging, living = tmp_path / "hanging.sqlite", tmp_path / "living.sqlite"
        transports = []
        for path in (hanging, living):
            storage = ThreadedStorage(SQLiteStorage(path, durability="normal"))
            transport = AsyncVirtualTransport(storage, **SETTINGS)
            await transport.open(30)
            transports.append(transport)
            channel = await transport.channel()
            await channel.execute(DeclareQueue("q"))
            await channel.publish(b"1", {}, "", "q")
            assert await channel.get("q") is not None
        with locked(hanging):
            dead = await asyncio.to_thread(owners_seen_dead, living, LEASE * 2.5)
        for transport in transports:
            await transport.close(10)
        return dead

    assert asyncio.run(run()) == set()


def test_the_death_of_an_owner_is_noticed_by_one_with_a_far_longer_lease(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    patient = VirtualTransport(SQLiteStorage(path, durability="normal"), **{**SETTINGS, "lease": 600.0})
    patient.open(30)
    patient.channel().execute(DeclareQueue("q"))
    sleep(1.5)  # it has looked for dead owners, and there was none
    dying = SQLiteStorage(path, durability="normal")
    dying.open(5)
    dying.put([Put(b"1", [Target("q")], 1)])
    assert dying.reserve([("q", 1)], "dying", 1000)[0]

    began = monotonic()
    while dying.depth(["q"])[0].ready == 0:
        assert monotonic() - began < LEASE + SLACK
        sleep(0.02)

    dying.close(5)
    patient.close(5)
