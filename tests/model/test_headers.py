"""Headers: what every broker can carry passes, everything else is named with its path and limit."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.model.headers import MAX_DEPTH, MAX_SIZE, check_headers

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.binary(max_size=50)
    | st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.sampled_from([None, UTC]))  # noqa: DTZ001 - the bound must be naive
    | st.decimals(min_value=-(2**31) + 1, max_value=2**31 - 1, places=0)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(text, inner), max_leaves=10
)


def nested(depth: int, around: Any = list) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if around is list else {"a": value}
    return value


@given(st.dictionaries(text, values, max_size=10))
def test_whatever_a_field_table_can_hold_passes(headers: dict[str, Any]) -> None:
    check_headers(headers)


class Level(enum.IntEnum):
    HIGH = 1


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        2**63 - 1,
        -(2**63),
        Decimal(2147483647),
        Decimal("-1.5E-254"),
        Decimal("2E+9"),
        Decimal("0E+400"),
        Decimal(1).scaleb(-255),
        datetime(1970, 1, 1),  # noqa: DTZ001 - naive ones count as UTC
        Level.HIGH,
        Name("grün"),
        nested(MAX_DEPTH),
        nested(MAX_DEPTH, dict),
        "x" * (MAX_SIZE - 20),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_values_at_a_limit_pass(value: Any) -> None:
    check_headers({"name": value})


@pytest.mark.parametrize("name", ["", "x" * 255, "ü" * 127, "a b.c", Name("x")])
def test_any_name_of_up_to_255_bytes_passes(name: str) -> None:
    check_headers({name: 1})


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"a": 2**63}, r"^headers\.a: the integer does not fit 64 bits"),
        ({"a": {"b": [0, -(2**63) - 1]}}, r"^headers\.a\.b\[1\]: the integer"),
        ({"a": float("inf")}, r"^headers\.a: inf is no finite number"),
        ({"a": float("nan")}, r"^headers\.a: nan is no finite number"),
        ({"a": Decimal("NaN")}, r"^headers\.a: NaN is no finite number"),
        ({"a": Decimal("-Infinity")}, r"^headers\.a: -Infinity is no finite number"),
        ({"a": Decimal(2147483648)}, r"^headers\.a: .*2147483647"),
        ({"a": Decimal("1E+10")}, r"^headers\.a: .*2147483647"),
        ({"a": Decimal("1E+999999")}, r"^headers\.a: .*2147483647"),
        ({"a": Decimal("1E-256")}, r"^headers\.a: .*256 digits.*255"),
        ({"a": datetime(1969, 12, 31, tzinfo=UTC)}, r"^headers\.a: .*1970"),
        ({"a": datetime(1969, 12, 31)}, r"^headers\.a: .*1970"),  # noqa: DTZ001 - naive ones count as UTC
        ({"a": UUID(int=5)}, r"^headers\.a: no broker can carry a 'UUID'"),
        ({"a": {1, 2}}, r"^headers\.a: no broker can carry a 'set'"),
        ({"a": date(2026, 1, 1)}, r"^headers\.a: no broker can carry a 'date'"),
        ({"a": "\ud800"}, r"^headers\.a: the text is not valid Unicode"),
        ({"\ud800": 1}, r"^headers\['\\ud800'\]: the text is not valid Unicode"),
        ({"x" * 256: 1}, r"^headers\.x+: the name takes 256 bytes; the limit is 255"),
        ({"ü" * 128: 1}, r"^headers\.ü+: the name takes 256 bytes; the limit is 255"),
        ({"a": {"x" * 256: 1}}, r"^headers\.a\.x+: the name takes 256 bytes"),
        ({5: 1}, r"^headers: the name 5 is a 'int'; names must be text"),
        ({"a b": [{"c": object()}]}, r"^headers\['a b'\]\[0\]\.c: no broker can carry a 'object'"),
        ({"a": nested(MAX_DEPTH + 1)}, r"^headers\.a(\[0\]){32}: it is nested deeper than 32 levels"),
        ({"a": nested(MAX_DEPTH + 1, dict)}, r"^headers(\.a){33}: it is nested deeper than 32 levels"),
        ({"a": nested(5000)}, r"deeper than 32 levels"),
        ({"a": "x" * MAX_SIZE}, rf"the headers take more than {MAX_SIZE} bytes"),
        ({"a": "ü" * (MAX_SIZE // 2)}, rf"^headers\.a: the headers take more than {MAX_SIZE} bytes"),
        ({"a": bytes(200_000)}, r"^headers\.a: the headers take more than"),
        ({str(number): "x" * 1000 for number in range(200)}, r"^headers: the headers take more than"),
        ({"a": [None] * 200_000}, r"^headers\.a: the headers take more than"),
    ],
    ids=lambda part: part[:40] if isinstance(part, str) else "headers",
)
def test_what_no_broker_could_carry_is_named_by_path_and_limit(headers: Any, words: str) -> None:
    with pytest.raises(errors.EncodeError, match=words):
        check_headers(headers)


def test_a_list_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.extend([circle, circle])

    with pytest.raises(errors.EncodeError, match="nested deeper"):
        check_headers({"a": circle})


def test_lists_that_double_at_each_level_are_refused_before_they_are_walked_through() -> None:
    doubled: Any = [1]
    for _ in range(MAX_DEPTH - 1):
        doubled = [doubled, doubled]

    with pytest.raises(errors.EncodeError, match="more than"):
        check_headers({"a": doubled})
