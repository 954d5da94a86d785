"""Which headers every broker can carry: the values of an AMQP field table (AMQP 0-9-1 §4.2.5), within its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from dulse import errors

__all__ = ["MAX_DEPTH", "MAX_KEY", "MAX_SIZE", "check_headers"]

MAX_KEY = 255
"""Bytes of a name in UTF-8, which AMQP writes as a short string."""
MAX_DEPTH = 32
"""Tables and lists within each other."""
MAX_SIZE = 124 * 1024
"""Bytes of all headers as a field table.

They travel in one frame with the other properties, and RabbitMQ closes a connection that sends a frame beyond its
default of 128 KiB.
"""

_MIN_INT, _MAX_INT = -(2**63), 2**63 - 1
_MAX_UNSCALED = 2**31 - 1
_MAX_UNSCALED_DIGITS = 10
_MAX_SCALE = 255
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# On the wire a name has one byte for its length and a value one for its type; texts, tables and lists have four for
# their length, and no number takes more than eight.
_NAME, _LENGTH, _NUMBER = 2, 4, 8

_Path = tuple[Any, Any] | None  # the path of the container and the key in it; put into words only for an error


def check_headers(headers: Mapping[str, Any]) -> None:
    """Raise EncodeError, naming the path and the limit, unless every broker can carry these headers.

    Values may be None, bool, int of 64 bits, finite float, str, bytes, datetime from 1970 on (one without a zone
    counts as UTC), Decimal of 32 bits and 255 places, and lists, tuples and dicts of these.
    """
    _Walk().table(headers, None, 0)


class _Walk:
    """One walk over headers, and the bytes that are left to them."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_SIZE

    def table(self, table: Mapping[Any, Any], path: _Path, depth: int) -> None:
        size = _LENGTH
        for key, value in table.items():
            plain = type(key) is str and len(key) <= MAX_KEY and key.isascii()
            size += _NAME + (len(key) if plain else _size_of_name(key, path))
            kind = type(value)
            if kind is str and value.isascii():
                size += _LENGTH + len(value)
            elif value is None or kind is bool or (kind is int and _MIN_INT <= value <= _MAX_INT):
                size += _NUMBER
            else:
                self._value(value, (path, key), depth)
        self._take(size, path)

    def _sequence(self, values: Sequence[Any], path: _Path, depth: int) -> None:
        self._take(_LENGTH + len(values), path)
        for index, value in enumerate(values):
            if value is not None:
                self._value(value, (path, index), depth)

    def _value(self, value: Any, path: _Path, depth: int) -> None:
        if isinstance(value, str):
            self._take(_LENGTH + _size_of_text(value, path), path)
        elif isinstance(value, bytes):
            self._take(_LENGTH + len(value), path)
        elif isinstance(value, dict | list | tuple):
            if depth == MAX_DEPTH:
                raise _refusal(path, f"it is nested deeper than {MAX_DEPTH} levels")
            if isinstance(value, dict):
                self.table(value, path, depth + 1)
            else:
                self._sequence(value, path, depth + 1)
        else:
            _check_scalar(value, path)
            self._take(_NUMBER, path)

    def _take(self, size: int, path: _Path) -> None:
        self.left -= size
        if self.left < 0:
            raise _refusal(path, f"the headers take more than {MAX_SIZE} bytes, the limit of a frame")


def _check_scalar(value: Any, path: _Path) -> None:
    if isinstance(value, int):
        if not _MIN_INT <= value <= _MAX_INT:
            raise _refusal(path, "the integer does not fit 64 bits with a sign")
    elif isinstance(value, float):
        if not isfinite(value):
            raise _refusal(path, f"{value!r} is no finite number")
    elif isinstance(value, datetime):
        if (value if value.tzinfo else value.replace(tzinfo=UTC)) < _EPOCH:
            raise _refusal(path, "the time is before 1970, where AMQP's timestamps begin")
    elif isinstance(value, Decimal):
        _check_decimal(value, path)
    elif value is not None:
        raise _refusal(path, f"no broker can carry a {type(value).__name__!r}; send its text or its bytes")


def _check_decimal(value: Decimal, path: _Path) -> None:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise _refusal(path, f"{value} is no finite number")
    if exponent < -_MAX_SCALE:
        raise _refusal(path, f"the decimal has {-exponent} digits behind the point; the limit is {_MAX_SCALE}")
    if not value:
        return
    zeros = max(exponent, 0)
    if len(digits) + zeros <= _MAX_UNSCALED_DIGITS:
        unscaled = int("".join(map(str, digits))) * 10**zeros
        if unscaled <= _MAX_UNSCALED:
            return
    raise _refusal(
        path, f"the digits of the decimal do not fit 32 bits; without the point the limit is {_MAX_UNSCALED}"
    )


def _size_of_name(name: Any, path: _Path) -> int:
    if not isinstance(name, str):
        raise _refusal(path, f"the name {name!r:.40} is a {type(name).__name__!r}; names must be text")
    size = _size_of_text(name, (path, name[:40]))
    if size > MAX_KEY:
        raise _refusal((path, name[:40]), f"the name takes {size} bytes; the limit is {MAX_KEY}")
    return size


def _size_of_text(value: str, path: _Path) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise _refusal(path, f"the text is not valid Unicode ({error.reason})") from error


def _refusal(path: _Path, why: str) -> Exception:
    words = ""
    while path is not None:
        path, step = path
        words = (f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{step!r}]") + words
    return errors.make(errors.EncodeError, f"headers{words}: {why}")
