"""While another program holds the file's lock, every call of a transport ends in its time, with all done or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from dulse import errors
from dulse.model.commands import DeclareQueue, DeleteQueue, PurgeQueue
from dulse.model.message import Outgoing
from dulse.policy.clocks import SystemClock
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.aio.transport import VirtualTransport as AsyncVirtualTransport
from dulse.virtual.sync.transport import VirtualTransport
from dulse.virtual.threaded import ThreadedStorage
from tests.transports.sqlite.locking import locked

LIMIT = 0.3
SLACK = 5.0
"""Seconds by which a call may be late on a busy machine; far from what the connection allows."""

OPEN = 30.0

SETTINGS: dict[str, Any] = {"clock": SystemClock(), "lease": 60.0, "max_hold": None, "timeout": OPEN}

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "publish": lambda channel, _: channel.publish(b"new", {}, "", "q", timeout=LIMIT),
    "publish a persistent one that expires": lambda channel, _: channel.publish(
        b"new", {"expiration": "60000"}, "", "q", timeout=LIMIT
    ),
    "publish_many": lambda channel, _: channel.publish_many([Outgoing(b"new", {}, "", "q")] * 2, timeout=LIMIT),
    "get": lambda channel, _: channel.get("q", timeout=LIMIT),
    "declare": lambda channel, _: channel.execute(DeclareQueue("new"), timeout=LIMIT),
    "purge": lambda channel, _: channel.execute(PurgeQueue("q"), timeout=LIMIT),
    "delete": lambda channel, _: channel.execute(DeleteQueue("q"), timeout=LIMIT),
    "consume": lambda channel, _: channel.consume("q", print, timeout=LIMIT),
    "flush": lambda channel, _: channel.flush(timeout=LIMIT),
    "flush all": lambda _, transport: transport.flush(timeout=LIMIT),
}

WAITING: dict[str, Callable[[Any, Any], Any]] = {
    "drain": lambda _, transport: transport.drain(timeout=LIMIT),
    "drain without any time": lambda _, transport: transport.drain(timeout=0),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "broker.sqlite"


@pytest.fixture
def looking(path: Path) -> Iterator[SQLiteStorage]:
    storage = SQLiteStorage(path, durability="normal")
    storage.open(OPEN)
    yield storage
    storage.close(5)


def state(storage: SQLiteStorage) -> tuple[int, bool]:
    return storage.depth(["q"])[0].ready, storage.revisions(["q/new"]) != [0]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_up_in_its_time_and_the_next_one_works(path: Path, looking: SQLiteStorage, name: str) -> None:
    transport = VirtualTransport(SQLiteStorage(path, durability="normal"), **SETTINGS)
    transport.open(OPEN)
    channel = transport.channel()
    channel.execute(DeclareQueue("q"))
    for body in (b"1", b"2", b"3"):
        channel.publish(body, {}, "", "q")
    held = channel.get("q")
    assert held is not None
    before = state(looking)
    with locked(path):
        channel.ack(held.delivery_tag)
        began = monotonic()
        with pytest.raises(errors.StorageBusy, match=r"held its lock for 0\.\d s|still being written"):
            CALLS[name](channel, transport)
        assert monotonic() - began < LIMIT + SLACK
        assert state(looking) == before

    CALLS[name](channel, transport)

    transport.flush(5)
    assert looking.depth(["q"])[0].leased == (name == "get")
    transport.close(5)


@pytest.mark.parametrize("name", CALLS)
def test_an_asyncio_call_gives_up_in_its_time_and_the_next_one_works(
    path: Path, looking: SQLiteStorage, name: str
) -> None:
    async def run() -> None:
        transport = AsyncVirtualTransport(ThreadedStorage(SQLiteStorage(path, durability="normal")), **SETTINGS)
        await transport.open(OPEN)
        channel = await transport.channel()
        await channel.execute(DeclareQueue("q"))
        for body in (b"1", b"2", b"3"):
            await channel.publish(body, {}, "", "q")
        held = await channel.get("q")
        assert held is not None
        before = state(looking)
        with locked(path):
            await channel.ack(held.delivery_tag)
            began = monotonic()
            with pytest.raises(errors.StorageBusy, match=r"held its lock for 0\.\d s|still being written"):
                await CALLS[name](channel, transport)
            assert monotonic() - began < LIMIT + SLACK
            assert state(looking) == before

        await CALLS[name](channel, transport)

        await transport.flush(5)
        assert looking.depth(["q"])[0].leased == (name == "get")
        await transport.close(5)

    asyncio.run(run())


@pytest.mark.parametrize("name", WAITING)
def test_a_drain_that_cannot_look_says_in_its_time_that_there_was_no_message(path: Path, name: str) -> None:
    transport = VirtualTransport(SQLiteStorage(path, durability="normal"), **SETTINGS)
    transport.open(OPEN)
    channel = transport.channel()
    channel.execute(DeclareQueue("q"))
    got: list[Any] = []
    channel.consume("q", got.append)
    channel.publish(b"1", {}, "", "q")
    with locked(path):
        began = monotonic()
        with pytest.raises(errors.DeadlineExceeded, match="could not be looked into"):
            WAITING[name](channel, transport)
        assert monotonic() - began < LIMIT + SLACK

    transport.drain(5)

    assert [each.body for each in got] == [b"1"]
    transport.close(5)


def test_a_message_that_cannot_be_put_back_in_time_is_put_back_later(path: Path, looking: SQLiteStorage) -> None:
    transport = VirtualTransport(SQLiteStorage(path, durability="normal"), **SETTINGS)
    transport.open(OPEN)
    channel = transport.channel()
    channel.execute(DeclareQueue("q"))
    channel.publish(b"1", {}, "", "q")
    assert channel.get("q") is not None
    with locked(path):
        began = monotonic()
        channel.recover(timeout=LIMIT)
        assert monotonic() - began < LIMIT + SLACK

    assert looking.wait(["q"], 20) == ["q"]
    transport.close(5)


def test_closing_gives_up_in_its_time_what_it_cannot_give_back(path: Path) -> None:
    transport = VirtualTransport(SQLiteStorage(path, durability="normal"), **SETTINGS)
    transport.open(OPEN)
    channel = transport.channel()
    channel.execute(DeclareQueue("q"))
    channel.publish(b"1", {}, "", "q")
    assert channel.get("q") is not None
    with locked(path):
        began = monotonic()
        with pytest.raises(errors.StorageBusy):
            transport.close(LIMIT)
        assert monotonic() - began < LIMIT + SLACK
