"""Records as bytes and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.broker.envelope import pack, unpack
from dulse.model.message import Record

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
MARKED = st.sampled_from(["\0bytes", "\0table", "\0datetime", "\0decimal", "\0", "\\u0000bytes"])
TIMES = st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30))]))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    TEXTS,
    MARKED,
    st.binary(max_size=20),
    TIMES,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | MARKED, inner, max_size=4),
    max_leaves=12,
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "content_type": TEXTS,
        "content_encoding": TEXTS,
        "headers": st.dictionaries(TEXTS | MARKED, VALUES, min_size=1, max_size=5),
        "delivery_mode": st.sampled_from([1, 2]),
        "priority": st.integers(0, 255),
        "correlation_id": TEXTS,
        "expiration": st.integers(0, 10**9).map(str),
        "timestamp": TIMES,
    },
)
RECORDS = st.builds(Record, TEXTS, TEXTS, PROPERTIES, st.binary(max_size=50))


def types_of(value: Any) -> Any:
    """Tell true from 1 and 1 from 1.0, which are equal."""
    if isinstance(value, dict):
        return {name: types_of(item) for name, item in value.items()}
    return [types_of(item) for item in value] if isinstance(value, list) else type(value)


@given(RECORDS)
def test_every_record_comes_back_equal_and_of_the_same_types(record: Record) -> None:
    again = unpack(pack(record))

    assert again == record
    assert types_of(again.properties) == types_of(record.properties)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_a_decode_error(data: bytes) -> None:
    with pytest.raises(errors.DecodeError):
        unpack(data)


@given(RECORDS, st.data())
def test_damaged_bytes_raise_nothing_but_a_decode_error(record: Record, data: st.DataObject) -> None:
    packed = bytearray(pack(record))
    position = data.draw(st.integers(0, len(packed) - 1))
    packed[position] = data.draw(st.integers(0, 255))

    try:
        again = unpack(bytes(packed))
    except errors.DecodeError:
        return
    assert isinstance(again.exchange, str)
    assert isinstance(again.properties.get("headers", {}), dict)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "0 bytes"),
        (b"\1\1\0\0", "4 bytes"),
        (b"\x07\1\0\0\0\0", "version 7"),
        (b"\1\1\0\0\0\x09[]", "9 bytes, and there are 2"),
        (b"\1\1\0\0\0\x02{]", "head cannot be read"),
        (b"\1\1\0\0\0\x02[]", "head cannot be read"),
        (b'\1\2\0\0\0\x0a[1,"b",{}]', "exchange, routing key"),
        (b'\1\2\0\0\0\x18["","",{"headers":[]}]  ', "headers"),
        (b"\1\1\0\x01\0\0" + b"[" * 2**16, "nested too deeply"),
        (b'\1\2\0\0\0\x1f["","",{"\\u0000bytes":"not b64"}', "head cannot be read"),
    ],
)
def test_a_decode_error_says_what_is_wrong(data: bytes, problem: str) -> None:
    with pytest.raises(errors.DecodeError, match=problem):
        unpack(data)


def test_the_body_stands_in_the_envelope_as_it_is() -> None:
    body = bytes(range(256)) * 100

    packed = pack(Record("x", "key", {"content_type": "text/plain"}, body))

    assert packed.endswith(body)
    assert len(packed) < len(body) + 60


def test_headers_without_entries_are_left_out() -> None:
    assert unpack(pack(Record("", "q", {"headers": {}, "priority": 3}, b""))).properties == {"priority": 3}


@pytest.mark.parametrize("headers", [{}, {"a": [1]}])
def test_what_a_receiver_changes_no_other_receiver_sees(headers: dict[str, Any]) -> None:
    data = pack(Record("", "q", {"priority": 3, "headers": headers}, b""))
    mine, others = unpack(data), unpack(data)

    mine.properties["priority"] = 7
    mine.properties.setdefault("headers", {})["mine"] = True

    assert others == unpack(data)
    assert others.properties["priority"] == 3


def test_what_a_publisher_changes_later_does_not_reach_the_next_envelope() -> None:
    properties = {"priority": 3}
    pack(Record("", "q", properties, b""))

    properties["priority"] = 4

    assert unpack(pack(Record("", "q", properties, b""))).properties == {"priority": 4}


@pytest.mark.parametrize(
    ("properties", "path"),
    [
        ({"headers": {"a": {"b": [1, object()]}}}, r"a\.b\[1\] is a object"),
        ({"content_type": object()}, "content_type is a object"),
        ({"content_type": {1, 2}}, "content_type is a set"),
        ({"headers": {"a": {1: b""}}}, "key 1"),
    ],
)
def test_what_cannot_be_carried_is_named_by_its_path(properties: dict[str, Any], path: str) -> None:
    with pytest.raises(errors.EncodeError, match=path):
        pack(Record("", "q", properties, b""))


def test_a_table_that_contains_itself_is_refused() -> None:
    headers: dict[str, Any] = {}
    headers["again"] = headers

    with pytest.raises(errors.EncodeError, match="levels deep"):
        pack(Record("", "q", {"headers": headers}, b""))


def test_decimals_and_times_keep_what_makes_them_equal() -> None:
    headers = {"d": Decimal("1.10"), "t": datetime(2024, 2, 29, 12, tzinfo=UTC), "b": b"\xff"}

    assert unpack(pack(Record("", "", {"headers": headers}, b""))).properties["headers"] == headers
