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
    """A table or array that is being written."""

    __slots__ = ("chunks", "items", "kind", "path")

    def __init__(self, value: Any, path: str) -> None:
        self.path = path
        self.chunks: list[bytes] = []
        self.kind = b"F" if isinstance(value, Mapping) else b"A"
        self.items: Iterator[tuple[Any, Any]] = iter(value.items() if self.kind == b"F" else enumerate(value))

    def name(self, key: Any) -> str:
        """Give the path to an item and write its key, if it has one."""
        if self.kind == b"A":
            return f"{self.path}[{key}]"
        if not isinstance(key, str):
            raise unwritable(f"a key of {self.path} is {type(key).__name__}, and AMQP's keys are texts: {key!r:.60}")
        self.chunks.append(short_string(key, f"a key of {self.path}"))
        return f"{self.path}.{key}"

    def closed(self) -> bytes:
        """Give the whole as a value."""
        body = b"".join(self.chunks)
        if len(body) > 0xFFFFFFFF:
            raise unwritable(f"{self.path} is {len(body)} bytes long and AMQP allows 4 GiB")
        return _BLOCK.pack(self.kind, len(body)) + body


def _encode(value: Any, path: str) -> bytes:
    opened = [_Open(value, path)]
    while True:
        innermost = opened[-1]
        entry = next(innermost.items, None)
        if entry is None:
            opened.pop()
            block = innermost.closed()
            if not opened:
                return block
            opened[-1].chunks.append(block)
            continue
        key, item = entry
        where = innermost.name(key)
        if isinstance(item, Mapping | list | tuple):
            if len(opened) == DEEPEST:
                raise unwritable(f"{where[:200]} lies deeper than {DEEPEST} tables and arrays; flatten it")
            opened.append(_Open(item, where))
        else:
            innermost.chunks.append(_scalar(item, where))


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
        if at == stop:
            if not outer:
                return at
            container, stop = outer.pop()
            continue
        key = ""
        if isinstance(container, dict):
            key, at = read_short_string(data, at, stop)
        value, at, inner_stop = _value(data, at, stop)
        if isinstance(container, dict):
            container[key] = value
        else:
            container.append(value)
        if inner_stop:
            if len(outer) + 2 > DEEPEST:
                raise violation(f"tables and arrays lie deeper in each other than {DEEPEST}")
            outer.append((container, stop))
            container, stop = value, inner_stop


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
