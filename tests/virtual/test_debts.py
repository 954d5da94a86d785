"""What the store must still be told is never forgotten, whatever fails or stops in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dulse import errors
from dulse.model.commands import DeclareQueue
from dulse.model.message import Delivery
from dulse.model.records import Put, Target
from dulse.policy.clocks import SystemClock
from dulse.transports.memory import MemoryStorage, forget_store
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.sync.transport import VirtualTransport

NAME = "debts"
SOON = 10.0


class Faulty:
    """A real store, one of whose calls fails once."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.failing: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._storage, name)
        if name not in self.failing:
            return call

        def fail(*_arguments: Any, **_options: Any) -> Any:
            self.failing.discard(name)
            raise errors.make(errors.StorageBusy, f"{name} fails this once")

        return fail


@contextmanager
def opened(storage: Any, lease: float = 20.0) -> Iterator[VirtualTransport]:
    transport = VirtualTransport(storage, clock=SystemClock(), lease=lease, max_hold=None, timeout=10)
    transport.open(5)
    try:
        yield transport
    finally:
        transport.close(5)


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    yield Faulty(MemoryStorage(NAME, SystemClock()))
    forget_store(NAME)


def drained(transport: VirtualTransport, into: list[Delivery], count: int, seconds: float = SOON) -> list[Delivery]:
    deadline = time.monotonic() + seconds
    while len(into) < count and time.monotonic() < deadline:
        try:
            transport.drain(0.2)
        except errors.DeadlineExceeded:
            continue
    return into


def eventually(holds: Callable[[], bool], seconds: float = SOON) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_a_message_whose_requeue_failed_comes_again(faulty: Faulty) -> None:
    with opened(faulty) as transport:
        channel = transport.channel()
        channel.execute(DeclareQueue("q"))
        channel.publish(b"body", {}, "", "q")
        got: list[Delivery] = []
        channel.consume("q", got.append)
        drained(transport, got, 1)
        faulty.failing.add("release")

        channel.reject(got[0].delivery_tag, True)

        assert [each.redelivered for each in drained(transport, got, 2)] == [False, True]


def test_a_message_whose_rejection_failed_is_dead_lettered_later(faulty: Faulty) -> None:
    with opened(faulty) as transport:
        channel = transport.channel()
        channel.execute(DeclareQueue("dead"))
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        channel.execute(DeclareQueue("q", arguments=arguments))
        channel.publish(b"body", {}, "", "q")
        delivery = channel.get("q")
        assert delivery is not None
        faulty.failing.add("forward")

        channel.reject(delivery.delivery_tag)

        assert eventually(lambda: faulty.depth(["dead"])[0].ready == 1)
        assert faulty.depth(["q"])[0].leased == 0


def test_what_a_full_queue_drops_is_dead_lettered_later_where_that_failed(faulty: Faulty) -> None:
    with opened(faulty) as transport:
        channel = transport.channel()
        channel.execute(DeclareQueue("dead"))
        limits = {"x-max-length": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        channel.execute(DeclareQueue("q", arguments=limits))
        faulty.failing.add("forward")

        for number in range(5):
            channel.publish(str(number).encode(), {}, "", "q")

        assert eventually(lambda: faulty.depth(["dead"])[0].ready == 3)
        assert faulty.depth(["q"])[0][:2] == (2, 0)


def test_closing_a_channel_again_does_what_failed_and_nobody_is_handed_anything_in_between(faulty: Faulty) -> None:
    with opened(faulty) as transport:
        channel, other = transport.channel(), transport.channel()
        channel.execute(DeclareQueue("q"))
        got: list[Delivery] = []
        channel.consume("q", got.append)
        faulty.failing.add("change")
        with pytest.raises(errors.StorageBusy):
            channel.close()
        other.publish(b"body", {}, "", "q")
        with pytest.raises(errors.DeadlineExceeded):
            transport.drain(0.3)

        channel.close()

        assert got == []
        assert other.execute(DeclareQueue("q")).consumer_count == 0


def test_the_end_of_a_consumer_is_told_in_drain_even_while_messages_wait(faulty: Faulty) -> None:
    with opened(faulty) as transport:
        channel = transport.channel()
        for name in ("busy", "gone"):
            channel.execute(DeclareQueue(name))
        told: list[str] = []
        got: list[Delivery] = []
        channel.consume("busy", got.append)
        tag = channel.consume("gone", got.append, on_cancel=told.append)
        for _ in range(10):
            channel.publish(b"body", {}, "", "busy")
        transport.roster.end_all_of("gone")

        transport.drain(1)

        assert told == [tag]
        assert got == []


def test_a_damaged_record_that_has_expired_stops_nobody(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "broker.db", "normal")
    with opened(storage) as transport:
        channel = transport.channel()
        channel.execute(DeclareQueue("dead"))
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        channel.execute(DeclareQueue("q", arguments=arguments))
        storage.put([Put(b"no message of ours", [Target("q", ttl_ms=1)])])
        time.sleep(0.01)
        channel.publish(b"body", {}, "", "q")
        got: list[Delivery] = []

        channel.consume("q", got.append)

        assert [each.body for each in drained(transport, got, 1)] == [b"body"]
        assert eventually(lambda: storage.depth(["dulse.set-aside"])[0].ready == 1)


def test_a_process_that_was_stopped_too_long_hands_out_nothing_old_and_consumes_on(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    with opened(SQLiteStorage(path, "normal"), lease=1.0) as stopped, opened(SQLiteStorage(path, "normal")) as other:
        ours, theirs = stopped.channel(), other.channel()
        ours.execute(DeclareQueue("q"))
        for number in range(5):
            ours.publish(str(number).encode(), {}, "", "q")
        got: list[Delivery] = []
        ours.consume("q", got.append)
        stopped.drain(5)  # has the other four in its buffer
        keep_away_from(stopped)

        again: list[Delivery] = []
        tag = theirs.consume("q", again.append)
        drained(other, again, 5)
        theirs.ack(0, multiple=True)
        other.flush()
        theirs.cancel(tag)
        with pytest.raises(errors.DeadlineExceeded):
            stopped.drain(0.3)
        theirs.publish(b"new", {}, "", "q")

        assert [each.body for each in drained(stopped, got, 2)] == [b"0", b"new"]
        assert all(each.redelivered for each in again)


def keep_away_from(transport: VirtualTransport) -> None:
    """Be a process that is stopped: nothing renews its lease."""
    transport._upkeep.stop(time.monotonic() + SOON)


def test_a_store_that_is_busy_while_the_dead_are_looked_for_stops_nobody_from_connecting(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "broker.db", "normal")
    with opened(storage) as transport:
        channel = transport.channel()
        channel.execute(DeclareQueue("q"))
        channel.publish(b"body", {}, "", "q")
        storage.renew("dead", 1)
        storage.reserve([("q", 1)], "dead", 1)
    faulty = Faulty(storage)
    faulty.failing.add("dead_owners")

    with opened(faulty):
        assert not faulty.failing
        assert eventually(lambda: storage.depth(["q"])[0].ready == 1)
