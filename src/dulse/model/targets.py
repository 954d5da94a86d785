"""Payloads as objects of a class that the receiver names: `message.decode(Order)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from dulse import errors

T = TypeVar("T")


def shape(payload: Any, target: type[T]) -> T:
    """Give the payload as a `target`: as it is where it is one already, else made from it.

    A class with a method `model_validate` (as pydantic's have) or `from_dict` makes it itself; others are called, with
    the items of a dict as keywords, else with the payload. DecodeError names both types where that fails.
    """
    if isinstance(payload, target):
        return payload
    try:
        make: Any = getattr(target, "model_validate", None) or getattr(target, "from_dict", None)
        made: T
        if make is not None:
            made = make(payload)
        else:
            make = target
            made = make(**payload) if isinstance(payload, Mapping) else make(payload)
        return made
    except (TypeError, ValueError, KeyError) as error:
        text = f"cannot make a {target.__qualname__} of a payload of type {type(payload).__name__}: {error}"
        raise errors.make(errors.DecodeError, text) from error
