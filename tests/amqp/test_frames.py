"""Frames survive every cut of the stream; what is too long is refused at its header."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.frames import (
    HEARTBEAT_FRAME,
    OVERHEAD,
    PROTOCOL_HEADER,
    Frame,
    Splitter,
    body_frames,
    frame,
    header_frame,
    method_frame,
)

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2, 3, 8]), st.integers(0, 65535), st.binary(max_size=50)), max_size=6)


@given(FRAMES, st.lists(st.integers(0, 400), max_size=8))
def test_frames_come_back_however_the_stream_was_cut(frames: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame(*each) for each in frames)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    splitter = Splitter()
    found = [each for start, stop in pairwise(places) for each in splitter.feed(stream[start:stop])]
    assert found == frames


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_frames_or_a_protocol_error_and_little_is_kept(chunks: list[bytes]) -> None:
    splitter = Splitter(100)
    try:
        for chunk in chunks:
            splitter.feed(chunk)
    except errors.ProtocolError:
        return
    assert len(splitter._rest) < 100


def test_a_frame_over_the_maximum_is_refused_at_its_header() -> None:
    with pytest.raises(errors.ProtocolError, match=r"1073741832 bytes was announced, and 4096 are allowed"):
        Splitter(4096).feed(b"\x03\x00\x01\x40\x00\x00\x00")


def test_a_frame_of_just_the_maximum_is_taken() -> None:
    payload = b"x" * (4096 - OVERHEAD)
    assert Splitter(4096).feed(frame(3, 1, payload)) == [(3, 1, payload)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEARTBEAT_FRAME[:-1] + b"\x00", "ends with 0x00"),
        (b"\x05\x00\x00\x00\x00\x00\x00\xce", "type 5"),
        (b"HTTP/1.1 400 Bad Request", "does the peer speak AMQP"),
        (PROTOCOL_HEADER, "another protocol"),
    ],
)
def test_what_is_no_frame_is_a_protocol_error(data: bytes, words: str) -> None:
    with pytest.raises(errors.ProtocolError, match=words):
        Splitter().feed(data)


@given(st.binary(max_size=300), st.integers(OVERHEAD + 1, 90))
def test_a_body_is_cut_into_frames_no_larger_than_the_maximum(body: bytes, maximum: int) -> None:
    splitter = Splitter(maximum)
    assert b"".join(payload for _, _, payload in splitter.feed(b"".join(body_frames(7, body, maximum)))) == body


def test_arguments_and_headers_over_the_maximum_are_the_callers_error() -> None:
    with pytest.raises(errors.EncodeError, match="leaves 4088"):
        method_frame(1, b"x" * 4089, 4096)
    with pytest.raises(errors.EncodeError, match="leaves 4088"):
        header_frame(1, b"x" * 4089, 4096)


def test_the_servers_side_takes_the_protocol_header_in_pieces() -> None:
    splitter = Splitter()
    assert splitter.take_protocol_header(PROTOCOL_HEADER[:3]) is None
    assert splitter.take_protocol_header(PROTOCOL_HEADER[3:] + b"more") == b"more"


def test_the_servers_side_refuses_another_protocol_at_its_first_byte() -> None:
    with pytest.raises(errors.ProtocolError, match="began with"):
        Splitter().take_protocol_header(b"G")
