"""orjson in the place of the standard library: other bytes, the same values."""

from __future__ import annotations

import enum
import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.codecs import SerializerRegistry, json, use_orjson
from tests.codecs.payloads import GOLDEN, payloads

quick = SerializerRegistry()
use_orjson(quick)


def write(value: Any) -> str:
    return str(quick.dumps(value, "json")[2])


def read(wire: str | bytes) -> Any:
    return quick.loads(wire, "application/json", "utf-8")


class Colour(enum.IntEnum):
    RED = 1


class Shape(enum.Enum):
    ROUND = "round"


@given(payloads)
def test_what_orjson_writes_everyone_reads_as_the_same_value(value: Any) -> None:
    wire = write(value)

    assert json.loads(wire) == value
    assert read(wire.encode("utf-8", "surrogatepass")) == value


@given(payloads)
def test_what_the_standard_library_writes_orjson_reads_as_the_same_value(value: Any) -> None:
    assert read(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "value",
    [value for value, _ in GOLDEN]
    + [
        [None, UUID(int=0)],
        {"id": "12345678-1234-5678-1234-567812345678", "other": UUID(int=5)},
        {1: "a", None: "b"},
        2**64,
        -(2**70),
        (1, (2, 3)),
        {"when": datetime(2026, 1, 1, tzinfo=UTC), "none": None},
        [Colour.RED, None],
        [Shape.ROUND],
        [Shape.ROUND, None],
        "\ud800",
        {"nested": [Decimal(1), b"\xff", None]},
    ],
    ids=repr,
)
def test_the_forms_on_the_wire_are_the_same(value: Any) -> None:
    assert json.loads(write(value)) == json.loads(json.dumps(value))


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_never_turns_into_null(number: str) -> None:
    assert write([None, float(number)]) == json.dumps([None, float(number)])


@pytest.mark.parametrize("bits", ["7ff0000000000001", "7ff8000000000000", "fff4000000000000", "ffffffffffffffff"])
def test_not_a_number_never_turns_into_null_whatever_its_bits(bits: str) -> None:
    number = struct.unpack(">d", bytes.fromhex(bits))[0]

    assert write([number, None, number, 127, 255]) == json.dumps([number, None, number, 127, 255])


def test_a_null_and_bytes_as_in_the_bits_of_no_number_are_left_to_orjson() -> None:
    assert write([None, 127, 255, "\x7f", 1.5]) == '[null,127,255,"\x7f",1.5]'


@pytest.mark.parametrize(
    "wire", ["18446744073709551616", "-9223372036854775809", "1" * 30, "[NaN]", '"\\ud800"', "[1e400]"]
)
def test_what_orjson_reads_otherwise_is_read_by_the_standard_library(wire: str) -> None:
    assert repr(read(wire.encode())) == repr(json.loads(wire))


@given(st.floats(), st.none() | st.integers())
def test_every_float_keeps_its_value(number: float, other: int | None) -> None:
    assert repr(read(write([number, other]).encode())) == repr([number, other])


def test_an_object_that_cannot_be_written_is_named_by_its_path() -> None:
    with pytest.raises(errors.EncodeError, match=r"\$\.orders\[1\]\.customer: object of type 'object'"):
        quick.dumps({"orders": [{}, {"customer": object()}]}, "json")


@pytest.mark.parametrize(
    "wire", [b"", b"[1", b"{'a': 1}", b"\xff", b"[" * 100_000, b'{"__type__": "x", "__value__": 1}']
)
def test_garbage_is_a_decode_error(wire: bytes) -> None:
    with pytest.raises(errors.DecodeError, match="application/json"):
        read(wire)


def test_the_default_follows_when_it_is_json(fresh: SerializerRegistry) -> None:
    use_orjson(fresh)

    assert fresh.dumps({"a": 1})[2] == '{"a":1}'
