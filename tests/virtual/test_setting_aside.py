"""Records that are no messages are set aside, in a queue that can be used like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse.model.commands import DeclareQueue, DeleteQueue, PurgeQueue
from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.sync.channel import VirtualChannel
from dulse.virtual.sync.setting_aside import SET_ASIDE
from dulse.virtual.sync.transport import VirtualTransport
from tests.virtual.test_debts import opened

DAMAGED = b"no message of ours"


def damage(transport: VirtualTransport, queue: str) -> None:
    """Let a queue come upon something that cannot be read."""
    channel = transport.channel()
    channel.execute(DeclareQueue(queue))
    transport.storage.put([Put(DAMAGED, [Target(queue)])])
    assert channel.get(queue) is None


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[VirtualTransport]:
    """Give a broker in which one record was set aside."""
    with opened(SQLiteStorage(tmp_path / "broker.db", "normal")) as transport:
        damage(transport, "q")
        yield transport


@pytest.fixture
def channel(transport: VirtualTransport) -> VirtualChannel:
    """Give a channel to it."""
    return transport.channel()


def test_a_record_that_was_set_aside_is_counted_among_the_queues(transport: VirtualTransport) -> None:
    found = {status.name: (status.ready, status.size) for status in transport.management.queues()}

    assert found == {"q": (0, 0), SET_ASIDE: (1, len(DAMAGED))}


def test_a_record_that_was_set_aside_tells_where_it_was_and_why_it_is_here(transport: VirtualTransport) -> None:
    (message,) = transport.management.peek(SET_ASIDE)

    assert message.body == DAMAGED
    assert message.properties["headers"]["x-set-aside-queue"] == "q"
    assert "this is not a message that dulse stored" in message.properties["headers"]["x-set-aside-reason"]


def test_a_record_that_was_set_aside_can_be_taken(channel: VirtualChannel) -> None:
    delivery = channel.get(SET_ASIDE)
    assert delivery is not None
    assert delivery.body == DAMAGED

    channel.ack(delivery.delivery_tag)

    assert channel.get(SET_ASIDE) is None


def test_a_record_that_was_set_aside_can_be_moved(transport: VirtualTransport, channel: VirtualChannel) -> None:
    channel.execute(DeclareQueue("there"))

    assert transport.management.move(SET_ASIDE, "there") == 1

    delivery = channel.get("there")
    assert delivery is not None
    assert delivery.body == DAMAGED


def test_what_was_set_aside_can_be_purged(channel: VirtualChannel) -> None:
    assert channel.execute(PurgeQueue(SET_ASIDE)) == 1


def test_the_place_for_what_is_set_aside_is_made_again_when_it_was_deleted(
    transport: VirtualTransport, channel: VirtualChannel
) -> None:
    channel.execute(DeleteQueue(SET_ASIDE))

    damage(transport, "q")

    assert transport.storage.depth([SET_ASIDE])[0].ready == 1
    assert len(transport.management.peek(SET_ASIDE, 10)) == 1
