"""Messages are written in one piece, quickly where they are alike, and never differently for that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.delivery import Content
from dulse.amqp.messages import Writer, read_written, returned, written_anew
from dulse.amqp.methods import basic
from dulse.amqp.properties import content_header, encode
from dulse.model.message import Returned

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.binary(max_size=9000), NAMES, NAMES, st.booleans(), st.sampled_from([4096, 131072]))
def test_a_message_comes_back_as_it_was_written(
    body: bytes, exchange: str, routing_key: str, mandatory: bool, frame_max: int
) -> None:
    writer, properties = Writer(3, frame_max), {"delivery_mode": 2, "headers": {"a": 1}}
    expected = (basic.Publish(exchange, routing_key, mandatory=mandatory), properties, body)
    data = writer.write(body, properties, exchange, routing_key, mandatory)
    assert writer.write(body, properties, exchange, routing_key, mandatory) == data
    assert read_written(data) == expected
    found = frames.read_frames(data)
    assert {number for _, number, _ in found} == {3}
    assert all(len(payload) + frames.OVERHEAD <= frame_max for _, _, payload in found)


@pytest.mark.parametrize("size", [0, 1, 4087, 4088, 4089, 4104, 4105, 8176, 8177])
def test_no_frame_of_a_body_is_over_the_maximum_and_none_is_wasted(size: int) -> None:
    data = Writer(1, 4096).write(b"x" * size, {}, "e", "k")
    sizes = [len(payload) + frames.OVERHEAD for _, _, payload in frames.read_frames(data)[2:]]
    assert (len(sizes), max(sizes, default=0) <= 4096) == (-(-size // 4088), True)
    assert not read_written(data)[0].mandatory


def test_headers_may_fill_a_frame_and_no_more() -> None:
    writer = Writer(1, 4096)
    fixed = len(content_header(0, encode({"headers": {"a": ""}})))
    fits = {"headers": {"a": "x" * (4088 - fixed)}}
    assert len(frames.read_frames(writer.write(b"", fits, "", "k"))[1][2]) == 4088
    with pytest.raises(errors.EncodeError, match="take 4089 bytes"):
        writer.write(b"", {"headers": {"a": "x" * (4089 - fixed)}}, "", "k")


def test_properties_that_are_one_object_are_encoded_once_and_equal_ones_alike() -> None:
    writer, shared = Writer(1, 4096), {"delivery_mode": 2, "type": "t"}
    first = writer.write(b"x", shared, "", "k")
    assert writer.write(b"x", shared, "", "k") == first == writer.write(b"x", dict(shared), "", "k")


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "e"]), st.sampled_from(["k", "l"]), st.integers(0, 3)))
)
def test_whatever_was_written_before_a_message_is_written_as_by_a_new_writer(
    messages: list[tuple[int, str, str, int]],
) -> None:
    writer = Writer(1, 4096)
    alike: list[dict[str, Any]] = [{}, {"priority": 1}, {"headers": {"a": 1}}]
    for which, exchange, routing_key, size in messages * 3:
        written = writer.write(b"x" * size, alike[which], exchange, routing_key)
        assert written == Writer(1, 4096).write(b"x" * size, alike[which], exchange, routing_key)


def test_many_lengths_are_not_kept_for_ever() -> None:
    writer, alike = Writer(1, 131072), {"delivery_mode": 2}
    for size in range(3000):
        assert len(read_written(writer.write(b"x" * size, alike, "", "k"))[2]) == size
    assert len(writer._fronts) <= 1000


def test_another_message_with_other_properties_is_never_mistaken_for_a_known_one() -> None:
    writer = Writer(1, 4096)
    for number in range(1000):
        data = writer.write(b"x", {"delivery_mode": 2, "message_id": str(number)}, "", "k")
        assert read_written(data)[1]["message_id"] == str(number)


def test_many_routes_are_not_kept_for_ever() -> None:
    writer = Writer(1, 4096)
    for number in range(3000):
        assert read_written(writer.write(b"", {}, "e", str(number)))[0].routing_key == str(number)
    assert len(writer._plain) <= 1000


@pytest.mark.parametrize(
    ("properties", "routing_key", "words"),
    [
        ({"headers": {"a": 2**64}}, "k", r"headers\.a is a number of 65 bits"),
        ({"headers": {"a": "x" * 5000}}, "k", "the headers take 50.. bytes and the frame maximum leaves 4088"),
    ],
)
def test_what_amqp_cannot_carry_is_named(properties: dict[str, Any], routing_key: str, words: str) -> None:
    with pytest.raises(errors.EncodeError, match=words):
        Writer(1, 4096).write(b"", properties, "", routing_key)


def test_a_message_can_be_written_anew_for_another_channel() -> None:
    data = Writer(1, 131072).write(b"x" * 10000, {"priority": 3}, "e", "k")
    again = written_anew(data, 9, 4096)
    assert read_written(again) == read_written(data)
    assert {number for _, number, _ in frames.read_frames(again)} == {9}


def test_a_returned_message_is_given_in_the_words_of_the_contract() -> None:
    method = basic.Return(312, "NO_ROUTE", "e", "k")
    content = Content(basic.Return, method.encode(), content_header(2, encode({"priority": 1})), b"hi")
    assert returned(content) == Returned(312, "NO_ROUTE", "e", "k", {"priority": 1}, b"hi")
