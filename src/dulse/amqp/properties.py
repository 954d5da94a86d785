"""The content header: a body's size and the properties of basic (AMQP 0-9-1 §4.2.6.1, §1.8.3)."""

from __future__ import annotations

from datetime import datetime
from struct import Struct
from typing import Any

from dulse.amqp.faults import unwritable, violation
from dulse.amqp.tables import decode_array, decode_table, encode_array, encode_table
from dulse.amqp.wire import LONG, LONG_LONG, OCTET, SHORT, read_number, read_short_string, short_string
from dulse.model.message import Properties

LAYOUT = (
    ("content_type", "shortstr", 1 << 15),
    ("content_encoding", "shortstr", 1 << 14),
    ("headers", "table", 1 << 13),
    ("delivery_mode", "octet", 1 << 12),
    ("priority", "octet", 1 << 11),
    ("correlation_id", "shortstr", 1 << 10),
    ("reply_to", "shortstr", 1 << 9),
    ("expiration", "shortstr", 1 << 8),
    ("message_id", "shortstr", 1 << 7),
    ("timestamp", "timestamp", 1 << 6),
    ("type", "shortstr", 1 << 5),
    ("user_id", "shortstr", 1 << 4),
    ("app_id", "shortstr", 1 << 3),
    ("cluster_id", "shortstr", 1 << 2),
)
"""(name, type, flag), in wire order; the last one is reserved by the specification and carried all the same."""

HEAD = Struct(">HHQ")
"""Class, weight and size of the body, in front of the flags."""
BASIC = 60
"""The only class whose methods carry contents."""
_NAMES = frozenset(name for name, _, _ in LAYOUT)
_UNKNOWN = 0b11  # the lowest flag says that more flags follow, which no class needs; the next has no property
_LENGTHS = tuple(bytes((size,)) for size in range(256))
_MOST_TABLES = 256
_LARGEST_TABLE = 4096


def encode(properties: Properties) -> bytes:
    """Write flags and values, which `content_header` completes; what is absent or None is left out.

    EncodeError names the property that is unknown or does not fit.
    """
    if not properties.keys() <= _NAMES:
        unknown = ", ".join(map(repr, sorted(properties.keys() - _NAMES)))
        raise unwritable(f"no message has a property {unknown}; send it as a header")
    flags = 0
    chunks = [b""]
    for name, kind, flag in LAYOUT:
        if name in properties:
            value = properties[name]
            if value is None:
                continue
            flags |= flag
            if kind == "shortstr" and type(value) is str and value.isascii() and len(value) < 256:
                chunks += (_LENGTHS[len(value)], value.encode())
            else:
                chunks.append(_written(kind, value, f"the property {name}"))
    chunks[0] = SHORT.pack(flags)
    return b"".join(chunks)


def content_header(size: int, encoded: bytes) -> bytes:
    """Write the payload of a header frame for a body of `size` bytes with what `encode` gave."""
    return HEAD.pack(BASIC, 0, size) + encoded


def body_size(payload: bytes) -> int:
    """Read how many bytes of body follow a header frame; ProtocolError: it is none of basic's."""
    if len(payload) < HEAD.size + SHORT.size:
        raise violation(f"a content header of {len(payload)} bytes is too short", 501)
    group, _, size = HEAD.unpack_from(payload)
    if group != BASIC:
        raise violation(f"a content header of class {group}, where basic ({BASIC}) was announced", 501)
    return int(size)


def decode(payload: bytes) -> Properties:
    """Read the properties out of the payload of a header frame; ProtocolError: they are damaged.

    Their headers may be shared by messages alike: whoever gets them changes nothing.
    """
    end = len(payload)
    flags, at = read_number(SHORT, payload, HEAD.size, end)
    found: Properties = {}
    try:  # not `in`: another thread may clear it in between
        present = _PRESENT[flags]
    except KeyError:
        present = _learn_flags(flags)
    for name, kind in present:
        if kind == "shortstr" and at < end:
            start = at + 1
            at = start + payload[at]
            if at > end:
                read_short_string(payload, start - 1, end)
            try:
                found[name] = payload[start:at].decode()
            except UnicodeDecodeError:
                read_short_string(payload, start - 1, end)
        else:
            found[name], at = _read(kind, payload, at, end)
    if at != end:
        raise violation(f"a content header has {end - at} bytes more than its properties")
    return found


def _learn_flags(flags: int) -> tuple[tuple[str, str], ...]:
    if flags & _UNKNOWN:
        raise violation(f"a content header with flags of no property: {flags:#06x}")
    present = tuple((name, kind) for name, kind, flag in LAYOUT if flags & flag)
    if len(_PRESENT) >= _MOST_TABLES:
        _PRESENT.clear()
    _PRESENT[flags] = present
    return present


_PRESENT: dict[int, tuple[tuple[str, str], ...]] = {}
"""Name and type of each property that some flags announce."""


def _written(kind: str, value: Any, what: str) -> bytes:
    if kind == "shortstr":
        if not isinstance(value, str):
            raise unwritable(f"{what} is {type(value).__name__}, and AMQP carries text there: {value!r:.60}")
        return short_string(value, what)
    if kind == "table":
        return encode_table(value, what)
    if isinstance(value, int):
        return _number(LONG_LONG if kind == "timestamp" else OCTET, value, what)
    if kind == "timestamp" and isinstance(value, datetime):
        return encode_array([value], what)[5:]
    raise unwritable(f"{what} is {type(value).__name__}, and AMQP carries a {kind} there: {value!r:.60}")


def _number(form: Struct, value: int, what: str) -> bytes:
    if not 0 <= value < 1 << 8 * form.size:
        raise unwritable(f"{what} is {value}, and AMQP allows 0 to {(1 << 8 * form.size) - 1}")
    return form.pack(value)


def _read(kind: str, data: bytes, at: int, end: int) -> tuple[Any, int]:
    if kind == "shortstr":
        return read_short_string(data, at, end)
    if kind == "table":
        return _read_table(data, at, end)
    if kind == "octet":
        return read_number(OCTET, data, at, end)
    seconds, stop = read_number(LONG_LONG, data, at, end)
    wrapped = b"\x00\x00\x00\x09T" + LONG_LONG.pack(seconds)
    return decode_array(wrapped, 0, len(wrapped))[0][0], stop


def _read_table(data: bytes, at: int, end: int) -> tuple[dict[str, Any], int]:
    """Read headers, those that many messages share only once."""
    size, start = read_number(LONG, data, at, end)
    stop = start + size
    if size > _LARGEST_TABLE or stop > end:
        return decode_table(data, at, end)
    raw = data[at:stop]
    table = _TABLES.get(raw)
    if table is None:
        table, _ = decode_table(data, at, end)
        if len(_TABLES) >= _MOST_TABLES:
            _TABLES.clear()
        _TABLES[raw] = table
    return table, stop


_TABLES: dict[bytes, dict[str, Any]] = {}
"""By their bytes: at most 1 MiB, whatever is received."""
