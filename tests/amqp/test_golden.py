"""A recorded session with RabbitMQ 3.10 goes the same way again, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amqp_record import HEADERS, session
from dulse.amqp.engine import Engine

TURNS = json.loads(Path(__file__).with_name("rabbitmq-3.10.json").read_text(encoding="utf-8"))


def replay(size: int) -> list[str]:
    """Answer the engine with what was recorded, `size` bytes at a time."""
    turns = iter(TURNS)
    waiting = bytearray()

    def exchange(data: bytes) -> bytes:
        if not waiting:
            sent, received = next(turns)
            assert data.hex() == sent
            waiting.extend(bytes.fromhex(received))
        piece = bytes(waiting[:size])
        del waiting[:size]
        return piece

    return session(Engine(), exchange)


def test_the_recorded_session_goes_the_same_way_again() -> None:
    seen = replay(1 << 20)
    assert repr({"headers": HEADERS, "priority": 3}) in seen
    assert "Told(channel=1, method=Ack(delivery_tag=1, multiple=False))" in seen
    assert any("NotFound(\"NOT_FOUND - no queue 'dulse-missing'" in each for each in seen)
    assert seen[-1] == "Ended(channel=0, error=None)"


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_the_servers_first_bytes_may_be_cut_anywhere(place: int) -> None:
    data = bytes.fromhex(TURNS[0][1])
    whole, cut = Engine(), Engine()
    whole.receive(data)
    cut.receive(data[:place])
    cut.receive(data[place:])
    assert (cut.data_to_send(), cut.state, cut.peer_properties) == (
        whole.data_to_send(),
        whole.state,
        whole.peer_properties,
    )
