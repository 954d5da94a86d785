"""Field tables and arrays with every type of RabbitMQ's (AMQP 0-9-1 §4.2.5.5 and RabbitMQ's errata), without recursion.

The letters are those RabbitMQ reads: ``t`` bool, ``b B`` 8 bits, ``s u`` 16, ``I i`` 32 (signed first),
``l`` signed 64, ``f d`` floats, ``D`` decimal, ``S`` text, ``x`` bytes, ``T`` time, ``A`` array, ``F`` table,
``V`` nothing. Where the specification and RabbitMQ differ (``s l L U u``), RabbitMQ is followed, which refuses
``L`` and ``U``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from math import isfinite
from struct import Struct
from typing import Any

from dulse.amqp.faults import unwritable, violation
from dulse.amqp.wire import LONG, read_number, read_short_string, short_string, utf8

DEEPEST = 32
"""Tables and arrays inside each other, the outermost included; what is deeper is refused both ways."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = Context(prec=300)  # enough for 10 digits moved by 255 places
_DOUBLE = Struct(">cd")
_SIGNED_32 = Struct(">ci")
_SIGNED_64 = Struct(">cq")
_TIME = Struct(">cQ")
_DECIMAL = Struct(">cBi")
_BLOCK = Struct(">cI")
_LONG = LONG.unpack_from


def encode_table(table: Mapping[str, Any], what: str = "table") -> bytes:
    """Write a table with its length. A float keeps 64 bits, bytes become ``x``, a time without zone counts as UTC.

    EncodeError names the path to a value that cannot be written, and the limit it broke.
    """
    return _encode(table, what)[1:]


def encode_array(values: list[Any], what: str = "array") -> bytes:
    """Write an array with its length, under the rules of `encode_table`."""
    return _encode(values, what)[1:]


def decode_table(data: bytes, at: int, end: int) -> tuple[dict[str, Any], int]:
    """Read a table that lies before `end`, and give where the next value starts; ProtocolError: it is damaged.

    A text that is not UTF-8 is given as bytes.
    """
    result: dict[str, Any] = {}
    return result, _decode(result, data, at, end)


def decode_array(data: bytes, at: int, end: int) -> tuple[list[Any], int]:
    """Read an array that lies before `end`, and give where the next value starts; ProtocolError: it is damaged."""
    result: list[Any] = []
    return result, _decode(result, data, at, end)


class _Open:
    """A table or array that is being written, and the key of the item that is."""

    __slots__ = ("chunks", "is_table", "items", "key")

    def __init__(self, value: Any) -> None:
        self.chunks: list[bytes] = []
        self.is_table = isinstance(value, Mapping)
        self.items: Iterator[tuple[Any, Any]] = iter(value.items() if self.is_table else enumerate(value))
        self.key: Any = None

    def closed(self, opened: list[_Open], what: str) -> bytes:
        """Give the whole as a value."""
        body = b"".join(self.chunks)
        if len(body) > 0xFFFFFFFF:
            raise unwritable(f"{_path(opened, what)} is {len(body)} bytes long and AMQP allows 4 GiB")
        return _BLOCK.pack(b"F" if self.is_table else b"A", len(body)) + body


def _path(opened: list[_Open], what: str) -> str:
    """Name the item that is being written, for an error; costs nothing before."""
    return what + "".join(f".{each.key}" if each.is_table else f"[{each.key}]" for each in opened)


def _encode(value: Any, what: str) -> bytes:
    opened = [_Open(value)]
    while True:
        innermost = opened[-1]
        nested = _write_items(innermost, opened, what)
        if nested is not None:
            if len(opened) == DEEPEST:
                raise unwritable(
                    f"{_path(opened, what)[:200]} lies deeper than {DEEPEST} tables and arrays; flatten it"
                )
            opened.append(_Open(nested))
            continue
        opened.pop()
        block = innermost.closed(opened, what)
        if not opened:
            return block
        opened[-1].chunks.append(block)


def _write_items(innermost: _Open, opened: list[_Open], what: str) -> Any:
    """Write items until one is a table or array itself, and give that; None: there are no more."""
    append, is_table = innermost.chunks.append, innermost.is_table
    for key, item in innermost.items:
        innermost.key = key
        if is_table:
            try:  # not `in`: another thread may clear it in between
                append(_KEYS[key])
            except KeyError:
                append(_learn_key(key, opened[:-1], what))
        kind = type(item)
        if kind is str and item.isascii():
            append(_BLOCK.pack(b"S", len(item)) + item.encode())
        elif item is None:
            append(b"V")
        elif kind is int and -0x80000000 <= item <= 0x7FFFFFFF:
            append(_SIGNED_32.pack(b"I", item))
        elif isinstance(item, Mapping | list | tuple):
            return item
        else:
            append(_scalar(item, _path(opened, what)))
    return None


def _learn_key(key: Any, holders: list[_Open], what: str) -> bytes:
    path = _path(holders, what)
    if not isinstance(key, str):
        raise unwritable(f"a key of {path} is {type(key).__name__}, and AMQP's keys are texts: {key!r:.60}")
    written = short_string(key, f"a key of {path}")
    if len(_KEYS) >= _MOST_KEYS:
        _KEYS.clear()
    _KEYS[key] = written
    return written


_KEYS: dict[str, bytes] = {}
"""Keys as they are written."""
_READ_KEYS: dict[bytes, str] = {}
"""The same the other way."""
_MOST_KEYS = 1000


def _scalar(value: Any, path: str) -> bytes:
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value, path)
    raise unwritable(f"{path} is {type(value).__name__}, which no AMQP table can carry; convert it to text or bytes")


def _integer(value: int, path: str) -> bytes:
    if -0x80000000 <= value <= 0x7FFFFFFF:
        return _SIGNED_32.pack(b"I", value)
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return _SIGNED_64.pack(b"l", value)
    raise unwritable(f"{path} is a number of {value.bit_length()} bits, and AMQP carries 64 with the sign")


def _real(value: float, path: str) -> bytes:
    if not isfinite(value):
        raise unwritable(f"{path} is {value}, for which RabbitMQ would close the connection")
    return _DOUBLE.pack(b"d", value)


def _decimal(value: Decimal, path: str) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise unwritable(f"{path} is {value}, which is no number")
    places = max(0, -exponent)
    if len(digits) + max(0, exponent) <= 10 and places <= 255:
        number = int("".join(map(str, digits))) * 10 ** max(0, exponent) * (-1 if sign else 1)
        if -0x80000000 <= number <= 0x7FFFFFFF:
            return _DECIMAL.pack(b"D", places, number)
    raise unwritable(f"{path} needs more than the 32 bits and 255 decimal places of AMQP's decimals; send it as text")


def _time(value: datetime, path: str) -> bytes:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    seconds = (aware - _EPOCH) // timedelta(seconds=1)
    if seconds < 0:
        raise unwritable(f"{path} is {value}, and AMQP's times begin in 1970")
    return _TIME.pack(b"T", seconds)


def _text(value: str, path: str) -> bytes:
    data = utf8(value, path)
    return _BLOCK.pack(b"S", len(data)) + data


def _octets(value: bytes | bytearray | memoryview, _path: str) -> bytes:
    data = bytes(value)
    return _BLOCK.pack(b"x", len(data)) + data


_WRITERS: tuple[tuple[Any, Callable[[Any, str], bytes]], ...] = (
    (str, _text),
    (bool, lambda value, _path: b"t\x01" if value else b"t\x00"),
    (int, _integer),
    (bytes | bytearray | memoryview, _octets),
    (float, _real),
    (type(None), lambda _value, _path: b"V"),
    (datetime, _time),
    (Decimal, _decimal),
)


def _as_text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _as_decimal(places: int, number: int) -> Decimal:
    return Decimal(number).scaleb(-places, _EXACT)


def _as_time(seconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise violation(f"a time of {seconds} seconds lies behind the year 9999") from None


def _same(value: Any) -> Any:
    return value


_FIXED: dict[int, tuple[Struct, Callable[..., Any]]] = {
    ord("t"): (Struct(">?"), _same),
    ord("b"): (Struct(">b"), _same),
    ord("B"): (Struct(">B"), _same),
    ord("s"): (Struct(">h"), _same),
    ord("u"): (Struct(">H"), _same),
    ord("I"): (Struct(">i"), _same),
    ord("i"): (Struct(">I"), _same),
    ord("l"): (Struct(">q"), _same),
    ord("f"): (Struct(">f"), _same),
    ord("d"): (Struct(">d"), _same),
    ord("T"): (Struct(">Q"), _as_time),
    ord("D"): (Struct(">Bi"), _as_decimal),
    ord("V"): (Struct(">"), lambda: None),
}
_SIZED: dict[int, Callable[[bytes], Any]] = {
    ord("S"): _as_text,
    ord("x"): bytes,
    ord("F"): lambda _data: {},
    ord("A"): lambda _data: [],
}


def _decode(root: dict[str, Any] | list[Any], data: bytes, at: int, end: int) -> int:
    """Fill `root` with what stands at `at`, its length first; each level is (container, where it ends)."""
    at, stop = _block(data, at, end)
    container: dict[str, Any] | list[Any] = root
    outer: list[tuple[dict[str, Any] | list[Any], int]] = []
    while True:
        if isinstance(container, dict):
            value, at, inner_stop = _read_pairs(container, data, at, stop)
        else:
            value, at, inner_stop = _read_values(container, data, at, stop)
        if inner_stop:
            if len(outer) + 2 > DEEPEST:
                raise violation(f"tables and arrays lie deeper in each other than {DEEPEST}")
            outer.append((container, stop))
            container, stop = value, inner_stop
        elif outer:
            container, stop = outer.pop()
        else:
            return at


def _read_pairs(table: dict[str, Any], data: bytes, at: int, stop: int) -> tuple[Any, int, int]:
    """Read keys and values until one is a table or array: that (empty), where it begins and ends; 0: all are read."""
    while at < stop:
        start = at + 1
        at = start + data[at]
        try:
            key = _READ_KEYS[data[start:at]]
        except KeyError:
            key, at = _learn_read_key(data, start - 1, stop)
        kind = data[at] if at < stop else 0
        if kind == 83 and at + 5 <= stop:  # S
            (size,) = _LONG(data, at + 1)
            start = at + 5
            if start + size > stop:
                _block(data, at + 1, stop)
            at = start + size
            try:
                table[key] = data[start:at].decode()
            except UnicodeDecodeError:
                table[key] = data[start:at]
        elif kind == 86:  # V
            table[key] = None
            at += 1
        else:
            value, at, inner_stop = _value(data, at, stop)
            table[key] = value
            if inner_stop:
                return value, at, inner_stop
    return None, at, 0


def _read_values(array: list[Any], data: bytes, at: int, stop: int) -> tuple[Any, int, int]:
    """Read values under the rules of `_read_pairs`."""
    while at < stop:
        value, at, inner_stop = _value(data, at, stop)
        array.append(value)
        if inner_stop:
            return value, at, inner_stop
    return None, at, 0


def _learn_read_key(data: bytes, at: int, stop: int) -> tuple[str, int]:
    key, following = read_short_string(data, at, stop)
    if len(_READ_KEYS) >= _MOST_KEYS:
        _READ_KEYS.clear()
    _READ_KEYS[data[at + 1 : following]] = key
    return key, following


def _value(data: bytes, at: int, end: int) -> tuple[Any, int, int]:
    """Read one value with its letter: it, where to go on, and for a table or array (given empty) where that ends."""
    if at >= end:
        raise violation(f"the data end at byte {end}, where the type of a value should stand")
    kind = data[at]
    if kind in _FIXED:
        form, convert = _FIXED[kind]
        stop = at + 1 + form.size
        if stop > end:
            raise violation(f"a value of type {chr(kind)!r} ends {stop - end} bytes behind its table")
        return convert(*form.unpack_from(data, at + 1)), stop, 0
    if kind not in _SIZED:
        raise violation(f"RabbitMQ has no value of type {bytes((kind,))!r}")
    start, stop = _block(data, at + 1, end)
    if kind in b"FA":
        return _SIZED[kind](b""), start, stop
    return _SIZED[kind](data[start:stop]), stop, 0


def _block(data: bytes, at: int, end: int) -> tuple[int, int]:
    size, start = read_number(LONG, data, at, end)
    if start + size > end:
        raise violation(f"{size} bytes of a table end {start + size - end} bytes behind what holds them")
    return start, start + size
