"""JSON: Kombu's wire form, byte for byte, and what must not be read."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from dulse.codecs import json, markers
from tests.codecs.payloads import GOLDEN, payloads


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test register types that are forgotten afterwards."""
    for name in ("_forms", "_decoders"):
        table = getattr(markers, name)
        monkeypatch.setattr(markers, name, dict(table))


@pytest.mark.parametrize(("value", "wire"), GOLDEN, ids=lambda part: type(part).__name__)
def test_is_written_byte_for_byte_as_kombu_writes_it(value: Any, wire: str) -> None:
    assert json.dumps(value) == wire


@pytest.mark.parametrize(("value", "wire"), GOLDEN, ids=lambda part: type(part).__name__)
def test_what_kombu_wrote_is_read_back(value: Any, wire: str) -> None:
    back = json.loads(wire.encode())

    assert back == value
    assert type(back) is type(value)


def test_the_uuid_of_kombu_5_3_0_with_its_version_is_read() -> None:
    wire = b'{"__type__": "uuid", "__value__": {"hex": "12345678123446788234567812345678", "version": 4}}'

    assert json.loads(wire) == UUID("12345678123446788234567812345678")


def test_the_plain_strings_of_kombu_4_stay_strings() -> None:
    assert json.loads(b'["2026-11-22T18:43:03Z", "12.50"]') == ["2026-11-22T18:43:03Z", "12.50"]


@given(payloads)
def test_every_value_survives_the_round_trip(value: Any) -> None:
    assert json.loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_is_like_bytes_comes_back_as_bytes(kind: Any) -> None:
    assert json.loads(json.dumps({"blob": kind(b"a\xffb")})) == {"blob": b"a\xffb"}


@pytest.mark.parametrize(
    "kind", [str, str.encode, lambda text: bytearray(text.encode()), lambda t: memoryview(t.encode())]
)
def test_a_body_may_be_any_kind_of_bytes_or_text(kind: Any) -> None:
    assert json.loads(kind('{"name": "grün"}')) == {"name": "grün"}


def test_a_byte_order_mark_is_ignored() -> None:
    assert json.loads(b"\xef\xbb\xbf[1]") == [1]


def test_nan_and_infinity_are_written_and_read_as_kombu_does() -> None:
    wire = json.dumps([float("nan"), float("inf"), float("-inf")])

    assert wire == "[NaN, Infinity, -Infinity]"
    assert json.loads(wire)[1:] == [float("inf"), float("-inf")]


def test_an_object_may_say_itself_how_it_is_written() -> None:
    class Point:
        def __json__(self) -> Any:
            return {"x": Decimal(1)}

    assert json.loads(json.dumps([Point()])) == [{"x": Decimal(1)}]


class Shape(Enum):
    ROUND = Decimal(1)


def test_an_enum_is_written_by_its_value() -> None:
    assert json.loads(json.dumps({"shape": Shape.ROUND})) == {"shape": Decimal(1)}


@pytest.mark.usefixtures("forms")
def test_an_enum_that_is_registered_is_written_in_its_form() -> None:
    markers.register_type(Shape, "shape", lambda shape: shape.name, lambda name: Shape[name])

    assert json.loads(json.dumps({"shape": Shape.ROUND})) == {"shape": Shape.ROUND}


@pytest.mark.usefixtures("forms")
def test_a_registered_type_makes_the_round_trip() -> None:
    markers.register_type(Money, "money", lambda money: money.cents, Money)

    assert json.loads(json.dumps([Money(5)])) == [Money(5)]


@pytest.mark.usefixtures("forms")
def test_a_subclass_of_a_registered_type_is_written_in_its_form() -> None:
    class Coin(Money):
        pass

    markers.register_type(Money, "money", lambda money: money.cents, Money)

    assert json.loads(json.dumps(Coin(5))) == Money(5)


@pytest.mark.usefixtures("forms")
def test_the_form_of_the_nearest_class_is_used() -> None:
    class Timestamp(datetime):
        pass

    markers.register_type(Timestamp, "timestamp", lambda stamp: stamp.year)

    assert json.dumps(Timestamp(2026, 1, 1)) == '{"__type__": "timestamp", "__value__": 2026}'


@pytest.mark.usefixtures("forms")
def test_a_type_without_a_marker_is_written_bare() -> None:
    markers.register_type(Money, None, lambda money: money.cents)

    assert json.dumps({"price": Money(5)}) == '{"price": 5}'


@pytest.mark.usefixtures("forms")
def test_an_abstract_class_may_be_registered() -> None:
    markers.register_type(AbstractSet, "set", sorted, set)  # type: ignore[type-abstract]  # the point

    assert json.loads(json.dumps({3, 1})) == {1, 3}


def test_the_names_of_a_mapping_may_be_numbers_as_in_the_standard_library() -> None:
    assert json.dumps({1: True, None: 2}) == '{"1": true, "null": 2}'


def test_a_mapping_with_a_marker_and_other_names_is_only_a_mapping() -> None:
    mapping = {"__type__": "datetime", "__value__": "x", "more": 1}

    assert json.loads(json.dumps(mapping)) == mapping


@pytest.mark.parametrize(
    "wire",
    [
        '{"__type__": "os.system", "__value__": "true"}',
        '{"__type__": ["datetime"], "__value__": ""}',
        '{"__type__": null, "__value__": ""}',
        '{"__type__": "datetime", "__value__": 5}',
        '{"__type__": "datetime", "__value__": "yesterday"}',
        '{"__type__": "base64", "__value__": "/w*AB"}',
        '{"__type__": "uuid", "__value__": {"int": 5}}',
        '{"__type__": "decimal", "__value__": "1,5"}',
        '{"__type__": "bytes", "__value__": [1]}',
    ],
)
def test_an_unknown_marker_or_a_value_that_does_not_fit_it_is_refused(wire: str) -> None:
    with pytest.raises((ValueError, TypeError, ArithmeticError, KeyError)):
        json.loads(wire)


def test_an_unknown_marker_is_named_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"'money' is unknown here; register_type\(\)"):
        json.loads('{"__type__": "money", "__value__": 5}')


@pytest.mark.parametrize("wire", [b"", b"  ", b"[1", b"[1] 2", b"{'a': 1}", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_what_is_not_json_is_refused(wire: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        json.loads(wire)
