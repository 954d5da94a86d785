"""Strings and numbers as AMQP 0-9-1 §4.2.5 lays them out, every length checked against what encloses it."""

from __future__ import annotations

from struct import Struct

from dulse.amqp.faults import unwritable, violation

OCTET = Struct(">B")
SHORT = Struct(">H")
LONG = Struct(">I")
LONG_LONG = Struct(">Q")

LONGEST_SHORT_STRING = 255
"""Bytes of UTF-8, not characters."""


def short_string(value: str, what: str) -> bytes:
    """Write up to 255 bytes of UTF-8 after their length; `what` names it in the EncodeError."""
    data = utf8(value, what)
    if len(data) > LONGEST_SHORT_STRING:
        raise unwritable(
            f"{what} is {len(data)} bytes long and AMQP allows {LONGEST_SHORT_STRING}: {value[:40]!r}…; shorten it"
        )
    return OCTET.pack(len(data)) + data


def long_string(value: bytes, what: str) -> bytes:
    """Write up to 4 GiB after their length."""
    if len(value) > 0xFFFFFFFF:
        raise unwritable(f"{what} is {len(value)} bytes long and AMQP allows 4 GiB")
    return LONG.pack(len(value)) + value


def utf8(value: str, what: str) -> bytes:
    """Encode a text; EncodeError if it has lone surrogates."""
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise unwritable(f"{what} holds a character that UTF-8 cannot carry (position {error.start})") from None


def read_short_string(data: bytes, at: int, end: int) -> tuple[str, int]:
    """Read a short string that lies before `end`, and give where the next value starts."""
    if at >= end:
        raise violation(f"the data end at byte {end}, where a short string should start")
    start = at + 1
    stop = start + data[at]
    if stop > end:
        raise violation(f"a short string of {stop - start} bytes ends {stop - end} bytes behind what holds it")
    try:
        return data[start:stop].decode(), stop
    except UnicodeDecodeError:
        raise violation(f"a short string is not UTF-8: {data[start:stop]!r}") from None


def read_long_string(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """Read a long string that lies before `end`, and give where the next value starts."""
    size, start = read_number(LONG, data, at, end)
    stop = start + size
    if stop > end:
        raise violation(f"a long string of {size} bytes ends {stop - end} bytes behind what holds it")
    return data[start:stop], stop


def read_number(form: Struct, data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a number of `form` that lies before `end`, and give where the next value starts."""
    stop = at + form.size
    if stop > end:
        raise violation(f"the data end at byte {end}, inside a number of {form.size} bytes")
    (number,) = form.unpack_from(data, at)
    return number, stop
