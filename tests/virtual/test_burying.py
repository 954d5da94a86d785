"""Many messages that end together go together: one step for up to a hundred, and none takes another's obstacle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dulse.model.commands import BindQueue, DeclareExchange, DeclareQueue, DeleteExchange
from dulse.model.records import Put, Target
from dulse.policy.clocks import SystemClock
from dulse.transports.memory import MemoryStorage, forget_store
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.sync.channel import VirtualChannel
from dulse.virtual.sync.transport import VirtualTransport
from tests.virtual.test_debts import eventually, opened

NAME = "burying"


class Counting:
    """A real store that counts what moves or deletes taken records."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in {"settle", "forward", "forward_many"}:
            self.calls.append(name)
        return getattr(self._storage, name)


@pytest.fixture
def store() -> Iterator[Counting]:
    yield Counting(MemoryStorage(NAME, SystemClock()))
    forget_store(NAME)


def filled(transport: VirtualTransport, count: int, **arguments: Any) -> VirtualChannel:
    """Declare a queue with these arguments and `dead`, publish, and take everything."""
    channel = transport.channel()
    channel.execute(DeclareQueue("dead"))
    channel.execute(DeclareQueue("q", arguments={key.replace("_", "-"): value for key, value in arguments.items()}))
    for number in range(count):
        channel.publish(b"%d" % number, {}, "", "q")
    for _ in range(count):
        assert channel.get("q") is not None
    return channel


def bodies(channel: VirtualChannel, queue: str) -> list[bytes]:
    return [each.body for each in iter(lambda: channel.get(queue, no_ack=True), None)]


DEAD = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": "dead"}


def test_rejected_messages_are_dead_lettered_a_hundred_in_a_step_in_their_order(store: Counting) -> None:
    with opened(store) as transport:
        channel = filled(transport, 250, **DEAD)
        store.calls.clear()
        channel.reject(250, multiple=True)

        assert store.calls == ["forward_many"] * 3
        found = [channel.get("dead") for _ in range(250)]
        assert [each.body for each in found if each] == [b"%d" % number for number in range(250)]
        assert all(each and each.properties["headers"]["x-death"][0]["reason"] == "rejected" for each in found)


def test_rejected_messages_without_a_dead_letter_exchange_are_dropped_in_a_step(store: Counting) -> None:
    with opened(store) as transport:
        channel = filled(transport, 50)
        store.calls.clear()
        channel.reject(50, multiple=True)

        assert store.calls == ["settle"]
        assert store.depth(["q"])[0].leased == 0


def test_those_of_which_one_is_no_message_go_all_the_same(tmp_path: Path) -> None:
    store = SQLiteStorage(str(tmp_path / "broker.db"), durability="normal")
    with opened(store) as transport:
        channel = filled(transport, 3, **DEAD)
        store.put([Put(b"no message", [Target("q")])])
        leased, _ = store.reserve([("q", 1)], transport.owner, 20_000)
        with transport.mutex:
            taken = [each for each, _ in channel.ledger.take_all()]
            transport.debts.owe([taken[0], *leased, *taken[1:]], "rejected")
        transport.debts.pay(transport.deadline(5))

        assert bodies(channel, "dead") == [b"0", b"1", b"2"]
        assert eventually(lambda: store.depth(["q"])[0].leased == 0)


def test_a_topology_that_changes_under_them_is_followed(store: Counting) -> None:
    with opened(store) as transport:
        channel = transport.channel()
        channel.execute(DeclareExchange("x", "fanout"))
        channel.execute(DeclareQueue("a"))
        channel.execute(BindQueue("a", "x"))
        channel = filled(transport, 5, x_dead_letter_exchange="x")
        transport.dispatch.routes.clear()
        with opened(MemoryStorage(NAME, SystemClock())) as other:
            channel.reject(1)
            another = other.channel()
            another.execute(DeclareQueue("b"))
            another.execute(BindQueue("b", "x"))
            channel.reject(5, multiple=True)

            assert len(bodies(channel, "a")) == 5
            assert len(bodies(channel, "b")) == 4


def test_where_the_dead_letter_exchange_is_gone_they_are_dropped(store: Counting) -> None:
    with opened(store) as transport:
        channel = transport.channel()
        channel.execute(DeclareExchange("x", "fanout"))
        channel = filled(transport, 5, x_dead_letter_exchange="x")
        channel.execute(DeleteExchange("x"))
        channel.reject(5, multiple=True)

        assert eventually(lambda: store.depth(["q"])[0].leased == 0)


def test_what_is_dead_lettered_together_keeps_the_limit_of_its_queue(store: Counting) -> None:
    with opened(store) as transport:
        channel = transport.channel()
        channel.execute(DeclareQueue("short", arguments={"x-max-length": 3}))
        channel = filled(transport, 10, x_dead_letter_exchange="", x_dead_letter_routing_key="short")
        channel.reject(10, multiple=True)

        assert bodies(channel, "short") == [b"7", b"8", b"9"]
