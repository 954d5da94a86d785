"""Properties keep their values, and what is absent stays absent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.properties import LAYOUT, body_size, content_header, decode, encode
from dulse.model.message import Properties

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "shortstr": TEXTS,
    "octet": st.integers(0, 255),
    "table": st.dictionaries(TEXTS, st.integers(-5, 2**40) | TEXTS | st.none(), max_size=4),
    "timestamp": st.integers(0, 2**33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
}
ANY = st.fixed_dictionaries({}, optional={name: VALUES[kind] for name, kind, _ in LAYOUT})


@given(ANY, st.integers(0, 2**64 - 1))
def test_properties_come_back_as_they_were_written(properties: Properties, size: int) -> None:
    payload = content_header(size, encode(properties))
    assert (decode(payload), body_size(payload)) == (properties, size)


@given(st.binary(max_size=60))
def test_any_bytes_are_properties_or_a_protocol_error(data: bytes) -> None:
    try:
        body_size(data)
        decode(data)
    except errors.ProtocolError:
        return
    assert len(data) >= 14


def test_properties_have_the_bytes_of_the_specification() -> None:
    properties = {"content_type": "a/b", "headers": {"k": 1}, "delivery_mode": 2, "priority": 0}
    expected = "003c 0000 0000000000000005 b800 03612f62 00000007 016b 4900000001 02 00".replace(" ", "")
    assert content_header(5, encode(properties)).hex() == expected


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"correlation_id": "x" * 256}, "property correlation_id is 256 bytes"),
        ({"priority": 256}, "property priority is 256"),
        ({"headers": {"a": object()}}, r"property headers\.a is object"),
        ({"message_id": 5}, "property message_id is int"),
        ({"timestamp": "now"}, "property timestamp is str"),
        ({"timestamp": -1}, "property timestamp is -1"),
        ({"colour": "red"}, "no message has a property 'colour'"),
    ],
)
def test_a_property_that_does_not_fit_is_named(properties: Properties, words: str) -> None:
    with pytest.raises(errors.EncodeError, match=words):
        encode(properties)


@pytest.mark.parametrize("flags", ["0001", "0002"])
def test_flags_of_no_property_are_a_protocol_error(flags: str) -> None:
    with pytest.raises(errors.ProtocolError, match="no property"):
        decode(bytes.fromhex("003c 0000 0000000000000000" + flags))


def test_a_header_of_another_class_is_a_protocol_error() -> None:
    with pytest.raises(errors.ProtocolError, match="class 50"):
        body_size(bytes.fromhex("0032 0000 0000000000000000 0000"))


def test_what_is_none_is_left_out() -> None:
    assert decode(content_header(0, encode({"priority": None, "type": "t"}))) == {"type": "t"}


def test_a_timestamp_may_be_seconds_of_the_unix_time() -> None:
    found = decode(content_header(0, encode({"timestamp": 60})))
    assert found == {"timestamp": datetime(1970, 1, 1, 0, 1, tzinfo=UTC)}
