"""Payloads as objects of a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import pytest

from dulse import errors
from dulse.model.targets import shape


@dataclass
class Order:
    number: int
    item: str = "tea"


class Validated:
    def __init__(self, seen: Any) -> None:
        self.seen = seen

    @classmethod
    def model_validate(cls, payload: Any) -> Self:
        return cls(("validated", payload))


def test_a_dict_becomes_the_keywords_of_a_class() -> None:
    assert shape({"number": 3}, Order) == Order(3)


def test_what_is_one_already_stays_as_it_is() -> None:
    order = Order(3)
    assert shape(order, Order) is order
    assert shape("text", str) == "text"


def test_other_payloads_are_the_only_argument() -> None:
    text = "12345678123456781234567812345678"
    assert shape(text, UUID) == UUID(text)


def test_a_class_that_validates_makes_itself() -> None:
    assert shape({"a": 1}, Validated).seen == ("validated", {"a": 1})


@pytest.mark.parametrize(("payload", "target"), [({"nonsense": 3}, Order), ("no number", int), ({"a": 1}, int)])
def test_what_does_not_fit_is_a_decode_error_that_names_both(payload: Any, target: type[Any]) -> None:
    with pytest.raises(errors.DecodeError, match=f"a {target.__name__} of a payload of type {type(payload).__name__}"):
        shape(payload, target)
