"""Field tables as text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dulse import errors
from dulse.broker.tables import decode, encode, encode_canonical


@pytest.mark.parametrize(
    "value",
    [
        {"\0bytes": "AA=="},
        {"\0table": [["\0bytes", "AA=="]]},
        {"\0bytes": 1, "b": b"2"},
        {"a": {"\0decimal": Decimal("1.5")}},
        "\0bytes",
        ["\\u0000"],
        {"": ""},
    ],
)
def test_a_users_table_is_never_taken_for_a_tag(value: Any) -> None:
    assert decode(encode(value)) == value
    assert decode(encode_canonical(value)) == value


@pytest.mark.parametrize(
    ("one", "other"), [({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({"\0": 1, "b": b""}, {"b": b"", "\0": 1})]
)
def test_canonical_text_is_equal_for_equal_tables(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert encode_canonical(one) == encode_canonical(other)


def test_canonical_text_tells_true_from_one() -> None:
    assert encode_canonical({"a": True}) != encode_canonical({"a": 1})


def test_an_integer_of_endless_digits_is_refused() -> None:
    with pytest.raises(errors.EncodeError):
        encode({"a": 10**5000})


@pytest.mark.parametrize("text", ["", "{", '{"\\u0000bytes": "?"}', '{"\\u0000decimal": "x"}', "[" * 100_000])
def test_damaged_text_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(text)
