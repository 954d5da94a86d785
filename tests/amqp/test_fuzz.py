"""Any bytes give events or a ProtocolError, in either role: no other exception, no stall, and little memory."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable

import pytest

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.engine import Engine
from dulse.amqp.events import Ended, Event
from dulse.amqp.methods import BY_INDEX, basic, confirm, queue
from dulse.amqp.settings import Settings
from dulse.amqp.states import State
from tests.amqp.joined import PLAIN, SESSION, Call, guests_only, with_channel, words

MOST_MEMORY = 64 * 1024 * 1024
LONGEST_ROUND = 5.0
"""Seconds of this process's CPU time; a round takes a few milliseconds."""

INDEXES = sorted(BY_INDEX)
Chance = random.Random


TURNS = [each for each in SESSION if len(each.there) + len(each.back) < 20_000]
"""Without the large bodies, which only make rounds slow."""


def flip(chance: Chance, data: bytearray) -> None:
    data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xCE, 0xFF, chance.randrange(256)))


def cut_out(chance: Chance, data: bytearray) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randint(1, 30)]


def repeat(chance: Chance, data: bytearray) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.randint(1, 200)]


def large_number(chance: Chance, data: bytearray) -> None:
    at, size = chance.randrange(len(data)), chance.choice((2, 4, 8))
    data[at : at + size] = chance.choice((b"\xff", b"\x7f", b"\x00")) * size


def strange_frame(chance: Chance, data: bytearray) -> None:
    """Put in a frame that is whole and has a payload of chance; often a method that exists."""
    kind = chance.choice((1, 1, 1, 2, 3, 8))
    payload = chance.randbytes(chance.choice((0, 1, 4, 12, 14, 40)))
    if kind == 1 and chance.random() < 0.8:
        payload = chance.choice(INDEXES).to_bytes(4, "big") + payload
    if kind == 2 and chance.random() < 0.8:
        payload = b"\x00\x3c\x00\x00" + chance.choice((0, 1, 5, 2**40, 2**63)).to_bytes(8, "big") + payload
    frame = frames.frame(kind, chance.choice((0, 1, 2, 3, 65535)), payload)
    at = whole_frames(bytes(data), chance)
    data[at:at] = frame


def whole_frames(data: bytes, chance: Chance) -> int:
    """Find a place between two frames."""
    places, at = [0], 8 if data.startswith(b"AMQP") else 0
    while len(data) - at >= 8 and len(places) < 40:
        at += 8 + int.from_bytes(data[at + 3 : at + 7], "big")
        places.append(min(at, len(data)))
    return chance.choice(places)


DAMAGES: list[Callable[[Chance, bytearray], None]] = [flip, flip, cut_out, repeat, large_number, strange_frame]

ASK: list[Call] = [
    lambda engine: engine.open_channel(),
    lambda engine: engine.open_channel(2),
    lambda engine: engine.call(1, queue.Declare("q")),
    lambda engine: engine.call(1, confirm.Select()),
    lambda engine: engine.call(2, basic.Consume("q", "tag")),
    lambda engine: engine.call(1, basic.Get("q")),
    lambda engine: engine.publish(1, b"body", PLAIN, "e", "k"),
    lambda engine: engine.ack(2, 1),
    lambda engine: engine.close_channel(1),
    lambda engine: engine.tick(0.0),
    lambda engine: engine.send_content(2, basic.Deliver("c", 1), PLAIN, b"x"),
]


def play(role: str, chance: Chance) -> None:
    """Run one engine through a damaged session, while its owner also asks for this and that."""
    engine = Engine(Settings(check=guests_only, message_max=1 << 20), server=role == "server")
    damaged = set(chance.sample(range(len(TURNS)), chance.randint(1, 3)))
    for number, turn in enumerate(TURNS):
        calls = [] if engine.server else turn.calls
        ask(engine, [*calls, *chance.sample(ASK, chance.choice((0, 0, 0, 1)))])
        engine.data_to_send()
        data = bytearray(turn.there if engine.server else turn.back)
        for _ in range(chance.randint(1, 3) if number in damaged else 0):
            if data:
                chance.choice(DAMAGES)(chance, data)
        place = chance.randrange(len(data) + 1)
        try:
            read(engine.receive(bytes(data[:place])) + engine.receive(bytes(data[place:])))
        except errors.ProtocolError:
            assert engine.state is State.CLOSED
            assert isinstance(engine.events[-1], Ended)
            read(engine.events)
            return


def read(events: list[Event]) -> None:
    """Look at all there is in what came."""
    for event in events:
        try:
            words(event)
        except errors.ProtocolError:
            continue  # a damaged part is told when it is read


def ask(engine: Engine, calls: list[Call]) -> None:
    """Do what the session needs to go on, and more; a caller's mistakes are typed errors as well."""
    for each in calls:
        try:
            each(engine)
        except errors.DulseError:
            continue


def fuzz(role: str, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    tracemalloc.start()
    try:
        for number in range(rounds):
            began, state = time.process_time(), chance.getstate()
            try:
                play(role, chance)
            except Exception as error:
                chance.setstate(state)
                error.add_note(f"round {number} of seed {seed} as a {role}")
                raise
            assert time.process_time() - began < LONGEST_ROUND, f"round {number} of seed {seed}"
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("role", ["client", "server"])
def test_an_undamaged_session_goes_through(role: str) -> None:
    engine = Engine(Settings(check=guests_only), server=role == "server")
    for number, turn in enumerate(SESSION):
        for each in [] if engine.server else turn.calls:
            each(engine)
        assert engine.state is not State.CLOSED, number
        engine.receive(turn.there if engine.server else turn.back)
    assert (engine.state, engine.error) == (State.CLOSED, None)


@pytest.mark.parametrize("role", ["client", "server"])
def test_damage_gives_events_or_a_protocol_error(role: str) -> None:
    fuzz(role, 1_000, 1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("role", ["client", "server"])
def test_much_damage_gives_events_or_a_protocol_error(role: str) -> None:
    fuzz(role, 50_000, 2)


@pytest.mark.parametrize("role", ["client", "server"])
def test_noise_gives_events_or_a_protocol_error(role: str) -> None:
    chance = random.Random(3)
    for _ in range(500):
        engine = Engine(server=role == "server")
        try:
            for _ in range(4):
                engine.receive(chance.randbytes(chance.randint(0, 60)))
        except errors.ProtocolError:
            assert engine.closed


def test_a_body_sent_octet_by_octet_takes_little_more_than_its_size() -> None:
    size = 60_000
    engine, _ = with_channel()
    header = b"\x00\x3c\x00\x00" + size.to_bytes(8, "big") + b"\x00\x00"
    engine.receive(frames.frame(1, 1, basic.Deliver("c", 1).encode()) + frames.frame(2, 1, header))
    piece = frames.frame(3, 1, b"x") * 1000
    events: list[Event] = []
    tracemalloc.start()
    try:
        for _ in range(size // 1000):
            events += engine.receive(piece)
        assert tracemalloc.get_traced_memory()[1] < 8 * size
    finally:
        tracemalloc.stop()
    assert [words(each)[-1] for each in events] == [b"x" * size]
