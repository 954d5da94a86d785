"""Whatever the pieces in which bytes come, and wherever an exception strikes, an engine tells the same."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.acknowledging import Acknowledgements
from dulse.amqp.confirms import Window
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.methods import basic
from dulse.amqp.settings import Settings
from tests.amqp.joined import (
    PLAIN,
    SESSION,
    guests_only,
    joined,
    session,
    settle,
    with_channel,
    words,
)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted({each % (len(data) + 1) for each in places}), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


def server_hears(pieces: Iterable[bytes]) -> list[Any]:
    server = Engine(Settings(check=guests_only), server=True)
    return [words(event) for each in pieces for event in server.receive(each)]


WHOLE = b"".join(each.there for each in SESSION)
HEARD = server_hears([WHOLE])


@given(st.lists(st.integers(0, 1 << 20), max_size=60))
def test_a_server_hears_the_same_however_the_bytes_are_cut(places: list[int]) -> None:
    assert server_hears(cut(WHOLE, places)) == HEARD


def test_a_server_hears_the_same_octet_by_octet() -> None:
    places = range(3000)  # the handshake and the first methods; then one large piece
    assert server_hears(cut(WHOLE, places)) == HEARD


def stream() -> bytes:
    """What a server sends when a channel is open: all that the quick way knows, and more."""
    _, server = with_channel()
    for tag, size in enumerate((0, 1, 300, 131072, 20, 131064), start=1):
        server.send_content(1, basic.Deliver("c", tag, tag == 2, "e", "k"), PLAIN, b"x" * size)
        server.out.append(frames.HEARTBEAT_FRAME)
        server.call(1, basic.Ack(tag, multiple=tag == 1))
    server.send_content(1, basic.Return(312, "NO_ROUTE", "e", "k"), PLAIN, b"r")
    server.send_content(1, basic.Deliver("c", 7), PLAIN, b"last")
    return server.data_to_send()


STREAM = stream()


def client_hears(pieces: Iterable[bytes]) -> list[Any]:
    client, _ = with_channel()
    return [words(event) for each in pieces for event in client.receive(each)]


SEEN = client_hears([STREAM])


SENT = st.tuples(
    st.sampled_from(["c", "d", "longer"]),
    st.booleans(),
    st.sampled_from(["", "e"]),
    st.sampled_from(["k", "l", "long.key"]),
    st.sampled_from([PLAIN, {}, {"content_type": "text/other"}, {"message_id": "ten octets"}]),
    st.integers(0, 30),
)
"""Deliveries, many of which have all lengths in common with the one before."""


@given(st.lists(SENT, max_size=30), st.lists(st.integers(0, 1 << 20), max_size=5))
def test_deliveries_that_are_more_or_less_alike_come_as_they_were_sent(sent: list[Any], places: list[int]) -> None:
    client, server = with_channel()
    for tag, (consumer, redelivered, exchange, key, properties, size) in enumerate(sent, start=1):
        server.send_content(1, basic.Deliver(consumer, tag, redelivered, exchange, key), properties, bytes(size))
    pieces = cut(server.data_to_send(), places)
    came: list[Any] = [event for piece in pieces for event in client.receive(piece)]
    assert [
        (each.consumer_tag, each.redelivered, each.exchange, each.routing_key, each.properties, len(each.body))
        for each in came
    ] == sent
    assert [each.delivery_tag for each in came] == list(range(1, len(sent) + 1))


def alike(count: int) -> list[bytes]:
    _, server = with_channel()
    made = []
    for tag in range(1, count + 1):
        server.send_content(1, basic.Deliver("c", tag, False, "e", "k"), PLAIN, b"body")
        made.append(server.data_to_send())
    return made


def told_of(pieces: list[bytes]) -> tuple[list[Any], str]:
    """Give the deliveries in bytes that may be damaged, undecoded, and what the complaint begins with."""
    client, _ = with_channel()
    found: list[Any] = []
    complaint = ""
    try:
        for piece in pieces:
            found += client.receive(piece)
    except errors.ProtocolError as problem:
        found += client.events
        complaint = str(problem)[:60]  # what follows quotes as much as has come
    deliveries = [each for each in found if isinstance(each, Delivery)]
    return [
        (each.consumer_tag, each.delivery_tag, each.redelivered, each.routing_key, each._header, each.body)
        for each in deliveries
    ], complaint


@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
def test_damage_among_deliveries_alike_is_seen_as_in_one_that_comes_alone(bits: int) -> None:
    pieces = alike(4)
    for at in range(len(pieces[2])):
        damaged = bytearray(pieces[2])
        damaged[at] ^= bits
        singly = [*pieces[:2], bytes(damaged), pieces[3]]
        assert told_of([b"".join(singly)]) == told_of(singly), at


def test_the_stream_is_understood() -> None:
    assert len(SEEN) == 14
    assert [each[3] for each in SEEN if each[0] == "Delivery"] == [1, 2, 3, 4, 5, 6, 7]
    assert [len(each[-1]) for each in SEEN if each[0] == "Delivery"] == [0, 1, 300, 131072, 20, 131064, 4]
    assert [each[4] for each in SEEN if each[0] == "Delivery"] == [False, True] + 5 * [False]
    assert [each for each in SEEN if isinstance(each, str)][:2] == [
        "Told(channel=1, method=Ack(delivery_tag=1, multiple=True))",
        "Told(channel=1, method=Ack(delivery_tag=2, multiple=False))",
    ]


@given(st.lists(st.integers(0, 1 << 20), max_size=40))
def test_a_client_hears_the_same_however_the_bytes_are_cut(places: list[int]) -> None:
    assert client_hears(cut(STREAM, places)) == SEEN


def test_a_client_hears_the_same_wherever_a_small_stream_is_cut_once() -> None:
    _, server = with_channel()
    for tag in range(3):
        server.send_content(1, basic.Deliver("c", tag + 1, False, "e", "k"), PLAIN, b"x" * tag)
        server.call(1, basic.Ack(tag + 1))
    small = server.data_to_send()
    whole = client_hears([small])
    assert len(whole) == 6
    for place in range(len(small) + 1):
        assert client_hears([small[:place], small[place:]]) == whole


def test_a_large_frame_in_tiny_pieces_is_put_together_once() -> None:
    client, server = with_channel()
    server.send_content(1, basic.Deliver("c", 1), PLAIN, b"x" * 100_000)
    data = server.data_to_send()
    for at in range(len(data) - 1):
        assert client.receive(data[at : at + 1]) == []
    assert len(client.inbox) > 50_000
    (event,) = client.receive(data[-1:])
    assert words(event)[-1] == b"x" * 100_000


def test_the_recorded_session_is_the_same_each_time() -> None:
    assert [(each.there, each.back) for each in session()] == [(each.there, each.back) for each in SESSION]


# ------------------------------------------------------------------------------------------------- interruptions


class Struck(Exception):
    """What a signal handler raises."""


def striking(call: Callable[[], object], at: int) -> bool:
    """Run a call and raise where the interpreter may run a signal handler, the `at`-th time; False: it ended first."""
    left = at

    def strike(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal left
        if event in {"call", "c_return"} and frame.f_globals["__name__"].startswith("dulse.amqp"):
            left -= 1
            if left < 0:
                sys.setprofile(None)
                raise Struck

    sys.setprofile(strike)
    try:
        call()
    except Struck:
        return True
    finally:
        sys.setprofile(None)
    return False


def quick_stream() -> bytes:
    _, server = with_channel()
    for tag in range(1, 4):
        server.send_content(1, basic.Deliver("c", tag, False, "e", "k"), PLAIN, b"x" * tag)
        server.call(1, basic.Ack(tag))
    return server.data_to_send()


@given(st.lists(st.integers(0, 80), max_size=5), st.integers(0, 400))
def test_an_exception_in_the_quick_way_loses_nothing_and_doubles_nothing(strikes: list[int], place: int) -> None:
    data = quick_stream()
    client, _ = with_channel()
    seen: list[Any] = []
    try:
        for piece in (data[:place], data[place:]):
            client.inbox.append(piece)
            for at in strikes:
                striking(client.take_in, at)
            client.take_in()
            found, client.events = client.events, []
            seen += map(words, found)
    except errors.ConnectionLost:
        assert 0 < place < len(data), "whole frames of the quick way are never torn"
        assert client.closed
    else:
        assert seen == client_hears([data])


def test_an_exception_inside_a_reply_is_told_as_a_lost_connection() -> None:
    ends = set()
    for at in range(60):
        client, server = with_channel()
        expected = client.call(1, basic.Qos())
        settle(client, server)
        server.reply(1, basic.QosOk())
        client.inbox.append(server.data_to_send())
        striking(client.take_in, at)
        with suppress(errors.ConnectionLost):
            client.take_in()
        assert expected.done, at
        ends.add((client.closed, isinstance(expected.error, errors.ConnectionLost)))
    assert {(False, False), (True, True)} <= ends


@given(st.integers(0, 40), st.integers(1, 20), st.booleans(), st.sets(st.integers(2, 20), max_size=6))
def test_an_exception_in_the_window_leaves_it_as_before_or_as_after(
    at: int, tag: int, multiple: bool, early: set[int]
) -> None:
    def window() -> Window:
        found = Window()
        found.entries.extend(bytes((each,)) * each for each in range(20))
        found.sent.extend(map(len, found.entries))
        for each in early:
            found.confirm(each, multiple=False)
        return found

    def state(found: Window) -> tuple[Any, ...]:
        held = found.weigh()
        return found.base, found.entries, found.sent, found.extra, found.singles, held

    before, after, struck = window(), window(), window()
    after.confirm(tag, multiple)
    striking(lambda: struck.confirm(tag, multiple), at)
    assert state(struck) in (state(before), state(after))
    struck.confirm(tag, multiple)
    assert state(struck) == state(after)


@settings(max_examples=300)
@given(st.integers(0, 30), st.permutations(range(1, 9)), st.integers(1, 8), st.booleans())
def test_an_exception_while_acks_are_written_loses_none_and_doubles_none(
    at: int, order: list[int], first: int, rejects: bool
) -> None:
    acks = Acknowledgements(1)
    acks.newest = 8
    for tag in order[:first]:
        acks.ack(tag)
    last = order[first - 1]
    acks.collect()
    if rejects and first < 8:
        struck = striking(lambda: acks.reject(order[first], requeue=True, multiple=False), at)
        again = acks.reject(order[first], requeue=True, multiple=False)
        assert again == (struck and again)
        first += 1
    for tag in order[first:]:
        acks.ack(tag)
    striking(acks.collect, at)
    acks.collect()
    settled: list[int] = []
    for _, _, payload in frames.read_frames(b"".join(acks.out)):
        index, tag, bits = int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:12], "big"), payload[12]
        assert index in {basic.Ack.index, basic.Nack.index}
        assert tag not in settled
        settled += [each for each in range(1, tag) if bits & 1 and each not in settled] + [tag]
    assert sorted(settled) == list(range(1, 9)), last


def test_engines_of_both_roles_say_who_they_are() -> None:
    assert [repr(each) for each in joined()] == [
        "<Engine: client, open, 0 channels>",
        "<Engine: server, open, 0 channels>",
    ]
