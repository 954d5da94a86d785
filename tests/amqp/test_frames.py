"""Frames survive every cut of the stream; what is too long is refused at its header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.frames import (
    HEARTBEAT_FRAME,
    OVERHEAD,
    PROTOCOL_HEADER,
    Frame,
    body_frames,
    frame,
    header_frame,
    method_frame,
    read_frame,
    read_frames,
    read_protocol_header,
)

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2, 3, 8]), st.integers(0, 65535), st.binary(max_size=50)), max_size=6)


@given(FRAMES)
def test_frames_come_back_as_they_were_written(frames: list[Frame]) -> None:
    assert read_frames(b"".join(frame(*each) for each in frames)) == frames


@given(st.integers(0, 65535), st.binary(max_size=50), st.data())
def test_an_incomplete_frame_tells_how_much_is_needed(channel: int, payload: bytes, data: st.DataObject) -> None:
    whole = frame(1, channel, payload)
    there = data.draw(st.integers(0, len(whole) - 1))
    assert read_frame(b"xx" + whole[:there], 2, 4096) == (None, 7 if there < 7 else len(whole))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_frame_or_its_beginning_or_a_protocol_error(data: bytes) -> None:
    try:
        found, number = read_frame(data, 0, 100)
    except errors.ProtocolError:
        return
    assert (found is None) == (number > len(data)) or len(data) < 7


def test_a_frame_over_the_maximum_is_refused_at_its_header() -> None:
    with pytest.raises(errors.ProtocolError, match=r"1073741832 bytes was announced, and 4096 are allowed"):
        read_frame(b"\x03\x00\x01\x40\x00\x00\x00", 0, 4096)


def test_a_frame_of_just_the_maximum_is_taken() -> None:
    payload = b"x" * (4096 - OVERHEAD)
    assert read_frame(frame(3, 1, payload), 0, 4096) == ((3, 1, payload), 4096)


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
        read_frame(data, 0, 4096)


@given(st.binary(max_size=300), st.integers(OVERHEAD + 1, 90))
def test_a_body_is_cut_into_frames_no_larger_than_the_maximum(body: bytes, maximum: int) -> None:
    found = read_frames(b"".join(body_frames(7, body, maximum)))
    assert b"".join(payload for _, _, payload in found) == body
    assert all(len(payload) + OVERHEAD <= maximum for _, _, payload in found)


def test_arguments_and_headers_over_the_maximum_are_the_callers_error() -> None:
    with pytest.raises(errors.EncodeError, match="leaves 4088"):
        method_frame(1, b"x" * 4089, 4096)
    with pytest.raises(errors.EncodeError, match="leaves 4088"):
        header_frame(1, b"x" * 4089, 4096)


def test_the_servers_side_takes_the_protocol_header_in_pieces() -> None:
    assert not read_protocol_header(PROTOCOL_HEADER[:3])
    assert read_protocol_header(PROTOCOL_HEADER + b"more")


def test_the_servers_side_refuses_another_protocol_at_its_first_byte() -> None:
    with pytest.raises(errors.ProtocolError, match="began with"):
        read_protocol_header(b"G")
