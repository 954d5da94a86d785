"""What a transport had when it was closed in vain is free as soon as the next one of the same place is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from dulse import errors
from dulse.model.commands import DeclareQueue
from dulse.policy.clocks import SystemClock
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.sync.transport import VirtualTransport
from tests.transports.sqlite.locking import locked

LEASE = 60.0
MINE = DeclareQueue("mine", exclusive=True)


def opened(path: Path, place: str) -> VirtualTransport:
    transport = VirtualTransport(
        SQLiteStorage(path), clock=SystemClock(), lease=LEASE, max_hold=None, timeout=30.0, place=place
    )
    transport.open(30)
    return transport


def closed_in_vain(path: Path, place: str) -> None:
    transport = opened(path, place)
    channel = transport.channel()
    channel.execute(MINE)
    channel.execute(DeclareQueue("work"))
    channel.publish(b"held", {}, "", "work")
    assert channel.get("work") is not None
    with locked(path), pytest.raises(errors.StorageBusy):
        transport.close(0.2)


def test_who_connects_again_has_what_was_its_own_at_once(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    closed_in_vain(path, "here")

    again = opened(path, "here")
    channel = again.channel()
    channel.execute(MINE)
    delivery = channel.get("work")
    again.close(5)

    assert delivery is not None
    assert (delivery.body, delivery.redelivered) == (b"held", True)


def test_who_connects_to_another_place_ends_nothing_and_what_is_left_there_stays_known(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    closed_in_vain(path, "there")

    other = opened(path, "elsewhere")
    with pytest.raises(errors.ResourceLocked):
        other.channel().execute(MINE)
    other.close(5)

    again = opened(path, "there")
    again.channel().execute(MINE)
    again.close(5)
