"""What the value of an option may be, and how a text becomes such a value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from dulse import errors

_DURATION = re.compile(r"\s*([0-9.eE+-]+)\s*(ms|s|m|h|d)?\s*")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_NOTHING = frozenset({"", "none", "null"})
_SHOWN = 60


class _Unfit(Exception):
    """The value cannot be taken for what is expected."""


Converter = Callable[[Any], Any]


class Expectation(NamedTuple):
    """What one option may be."""

    converter: Converter
    words: str
    """What is expected, to follow "must be"."""
    revealing: bool
    """Error texts may show the value: it is not one of those that hold secrets."""
    optional: bool = False
    minimum: float | None = None
    maximum: float | None = None

    def convert(self, value: Any, subject: str) -> Any:
        """Give the value in the declared type; raise InvalidArgument, beginning with `subject`, if it is not fit."""
        if value is None and self.optional:
            return None
        try:
            return self._converted(value)
        except _Unfit:
            text = f"{subject} must be {self.words}, not {self._shown(value)}"
            raise errors.make(errors.InvalidArgument, text) from None

    def _converted(self, value: Any) -> Any:
        try:
            converted = self.converter(value)
        except _Unfit:
            if self.optional and isinstance(value, str) and value.lower() in _NOTHING:
                return None
            raise
        low, high = self.minimum, self.maximum
        if (low is not None and converted < low) or (high is not None and converted > high):
            raise _Unfit
        return converted

    def _shown(self, value: Any) -> str:
        if not self.revealing or not isinstance(value, str | int | float | NoneType):
            return f"an object of type {type(value).__name__}"
        if isinstance(value, int) and value.bit_length() > _SHOWN:
            return "a number that large"
        text = repr(value)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def expectation(
    hint: Any, *, minimum: float | None = None, maximum: float | None = None, seconds: bool = False
) -> Expectation:
    """Derive from an annotation what is expected.

    It is `int`, `float`, `bool`, `str`, a Literal, a tuple such as `tuple[int, ...]`, a Mapping, a Callable or a class,
    perhaps joined with None. Raises TypeError for any other.
    """
    optional = False
    if get_origin(hint) in {Union, UnionType}:
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        optional = len(kinds) < len(get_args(hint))
        if len(kinds) != 1:
            raise TypeError(f"an option has one type and perhaps None, not {hint}")
        hint = kinds[0]
    converter, words = (_seconds, "a number of seconds") if seconds else _rule(hint)
    words += _range(minimum, maximum) + (" or None" if optional else "")
    revealing = hint in _PLAIN or get_origin(hint) is Literal
    return Expectation(converter, words, revealing, optional, minimum, maximum)


def _rule(hint: Any) -> tuple[Converter, str]:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _one_of(arguments), "one of " + ", ".join(repr(choice) for choice in arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        convert, words = _rule(arguments[0])
        return _several(convert), f"several values, each {words}"
    if hint is Any:
        return (lambda value: value), "anything"
    kind = origin or hint
    if isinstance(kind, type) and kind is not tuple:
        return _instance(kind), _KINDS.get(kind, f"of type {kind.__name__}")
    raise TypeError(f"an option cannot have the type {hint}")


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _Unfit
    try:
        return int(value)
    except ValueError:
        raise _Unfit from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Unfit
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise _Unfit from None
    if not math.isfinite(number):
        raise _Unfit
    return number


def _seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is None:
            raise _Unfit
        return _number(match[1]) * _UNITS[match[2]]
    return _number(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        value = _BOOLEANS.get(value.lower())
    if not isinstance(value, bool):
        raise _Unfit
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unfit
    return value


def _one_of(choices: tuple[Any, ...]) -> Converter:
    def convert(value: Any) -> Any:
        for choice in choices:
            if type(value) is type(choice) and value == choice:
                return choice
            if isinstance(value, str) and value == str(choice):
                return choice
        raise _Unfit

    return convert


def _several(convert: Converter) -> Converter:
    def convert_each(values: Any) -> tuple[Any, ...]:
        if isinstance(values, str):
            values = values.split(",") if values else ()
        if not isinstance(values, list | tuple):
            raise _Unfit
        return tuple(convert(value) for value in values)

    return convert_each


def _instance(kind: type) -> Converter:
    def convert(value: Any) -> Any:
        if not isinstance(value, kind):
            raise _Unfit
        return value

    return convert


_PLAIN: Mapping[Any, tuple[Converter, str]] = {
    int: (_integer, "a whole number"),
    float: (_number, "a number"),
    bool: (_boolean, "true or false"),
    str: (_text, "a text"),
}
_KINDS: Mapping[Any, str] = {Mapping: "a mapping", Callable: "something to call"}


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum:,.10g} to {maximum:,.10g}"
    if minimum is not None:
        return f" of at least {minimum:,.10g}"
    return "" if maximum is None else f" of at most {maximum:,.10g}"
