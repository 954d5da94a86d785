"""Values of every type keep their meaning in a table, and damaged ones are refused in one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp.tables import DEEPEST, decode_array, decode_table, encode_array, encode_table

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.binary(max_size=40),
    st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=0)),  # noqa: DTZ001 - hypothesis adds the zone
    st.builds(
        lambda number, places: Decimal(number).scaleb(-places), st.integers(-(2**31), 2**31 - 1), st.integers(0, 255)
    ),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_a_table_comes_back_as_it_was_written(table: dict[str, Any]) -> None:
    data = encode_table(table)
    assert decode_table(data, 0, len(data)) == (table, len(data))


@given(st.lists(VALUES, max_size=6))
def test_an_array_comes_back_as_it_was_written(values: list[Any]) -> None:
    data = encode_array(values)
    assert decode_array(data, 0, len(data)) == (values, len(data))


@given(st.binary(max_size=80), st.sampled_from([decode_table, decode_array]))
def test_any_bytes_are_a_table_or_a_protocol_error(data: bytes, decode: Any) -> None:
    try:
        _, at = decode(data, 0, len(data))
    except errors.ProtocolError:
        return
    assert at <= len(data)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), st.integers(0, 10**6))
def test_a_table_cut_short_is_a_protocol_error(table: dict[str, Any], cut: int) -> None:
    data = encode_table(table)
    with pytest.raises(errors.ProtocolError):
        decode_table(data[: cut % len(data)], 0, cut % len(data))


def table_of(value: bytes) -> bytes:
    body = b"\x01k" + value
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (b"t\x01", True),
        (b"b\xff", -1),
        (b"B\xff", 255),
        (b"s\xff\xfe", -2),
        (b"u\xff\xfe", 65534),
        (b"I\xff\xff\xff\xff", -1),
        (b"i\xff\xff\xff\xff", 2**32 - 1),
        (b"l\xff\xff\xff\xff\xff\xff\xff\xff", -1),
        (b"f\x3f\x80\x00\x00", 1.0),
        (b"d\x3f\xf0\x00\x00\x00\x00\x00\x00", 1.0),
        (b"D\x02\x00\x00\x00\x7b", Decimal("1.23")),
        (b"S\x00\x00\x00\x02hi", "hi"),
        (b"S\x00\x00\x00\x01\xff", b"\xff"),
        (b"x\x00\x00\x00\x02hi", b"hi"),
        (b"T\x00\x00\x00\x00\x00\x00\x00\x3c", datetime(1970, 1, 1, 0, 1, tzinfo=UTC)),
        (b"A\x00\x00\x00\x03VVV", [None, None, None]),
        (b"F\x00\x00\x00\x04\x01at\x00", {"a": False}),
        (b"V", None),
    ],
)
def test_each_letter_of_rabbitmq_means_what_it_says(value: bytes, meaning: Any) -> None:
    data = table_of(value)
    found = decode_table(data, 0, len(data))[0]["k"]
    assert (found, type(found)) == (meaning, type(meaning))


@pytest.mark.parametrize(
    "value",
    [
        b"L\x00\x00\x00\x00\x00\x00\x00\x01",
        b"?",
        b"",
        b"I\x00",
        b"S\x00\x00\x00\x09hi",
        b"F\xff\xff\xff\xff",
        b"F\x00\x00\x00\x01\x05",
        b"F\x00\x00\x00\x02\x01\xff",
        b"T\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_a_damaged_value_is_a_protocol_error(value: bytes) -> None:
    data = table_of(value)
    with pytest.raises(errors.ProtocolError):
        decode_table(data, 0, len(data))


def nested(levels: int) -> list[Any]:
    values: list[Any] = []
    for _ in range(levels - 1):
        values = [values]
    return values


def test_tables_may_lie_32_deep_in_each_other_and_no_deeper() -> None:
    deepest = encode_array(nested(DEEPEST))
    deeper = (len(deepest) + 1).to_bytes(4, "big") + b"A" + deepest

    assert decode_array(deepest, 0, len(deepest))[0] == nested(DEEPEST)
    with pytest.raises(errors.EncodeError, match="deeper than 32"):
        encode_array(nested(DEEPEST + 1))
    with pytest.raises(errors.ProtocolError, match="32"):
        decode_array(deeper, 0, len(deeper))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**63, "64 bits"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (Decimal(2**31), "32 bits"),
        (Decimal("1E-256"), "255"),
        (Decimal("Infinity"), "no number"),
        (datetime(1969, 12, 31, tzinfo=UTC), "1970"),
        ("\ud800", "UTF-8"),
        ({"k" * 256: 1}, "255"),
        ({1: 1}, "keys are texts"),
        (object(), "object"),
        ({1, 2}, "set"),
    ],
)
def test_a_value_no_table_can_carry_is_an_encode_error_with_its_path(value: Any, words: str) -> None:
    with pytest.raises(errors.EncodeError, match=rf"headers\.list\[1\].*{words}|{words}.*headers\.list\[1\]"):
        encode_table({"list": [0, value]}, "headers")


def test_a_value_that_holds_itself_is_an_encode_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(errors.EncodeError, match="deeper"):
        encode_table({"k": endless})


def test_times_of_other_zones_and_without_one_are_written_in_utc() -> None:
    there = datetime(2020, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    bare = datetime(2020, 1, 1)  # noqa: DTZ001 - the case
    data = encode_array([there, bare])
    assert decode_array(data, 0, len(data))[0] == [datetime(2020, 1, 1, tzinfo=UTC)] * 2
