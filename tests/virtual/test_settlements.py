"""What was acknowledged is deleted before more is handed over, whoever else is about to delete it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dulse import errors
from dulse.model.commands import DeclareQueue
from dulse.model.message import Delivery
from dulse.model.records import Token
from dulse.policy.clocks import SystemClock
from dulse.transports.memory import MemoryStorage, forget_store
from dulse.virtual.sync.transport import VirtualTransport

NAME = "settlements"


class Slow:
    """A real store, whose settling waits until it may go on."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        fails, self.fails = self.fails, False
        self.begun.set()
        assert self.may_go_on.wait(20)
        if fails:
            raise errors.make(errors.StorageBusy, "settle fails this once")
        lost: Sequence[Token] = self._storage.settle(tokens, owner, until=until)
        return lost


@pytest.fixture
def slow() -> Iterator[Slow]:
    storage = Slow(MemoryStorage(NAME, SystemClock()))
    yield storage
    storage.may_go_on.set()
    forget_store(NAME)


@pytest.mark.parametrize("fails", [False, True], ids=["the keeper succeeds", "the keeper fails"])
def test_an_acknowledgement_that_the_keeper_is_writing_goes_along_with_the_next_taking(
    slow: Slow, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    slow.fails = fails
    transport = VirtualTransport(slow, clock=SystemClock(), lease=20.0, max_hold=None, timeout=10)
    transport.open(5)
    channel = transport.channel()
    channel.execute(DeclareQueue("q"))
    for number in range(3):
        channel.publish(str(number).encode(), {}, "", "q")
    channel.prefetch(1)
    got: list[Delivery] = []
    channel.consume("q", got.append)
    transport.drain(5)
    channel.ack(got[0].delivery_tag)
    assert slow.begun.wait(20)

    transport.drain(5)

    assert [delivery.body for delivery in got] == [b"0", b"1"]
    assert len(slow.held(transport.owner)) == 1, "after a kill now both would be delivered again"
    transport._upkeep._has_died = True  # what is lost now is told
    slow.may_go_on.set()
    channel.ack(got[1].delivery_tag)
    transport.drain(5)
    channel.ack(got[2].delivery_tag)
    channel.flush(5)
    assert slow.depth(["q"])[0][:2] == (0, 0)
    transport.close(5)
    assert "too late" not in caplog.text
