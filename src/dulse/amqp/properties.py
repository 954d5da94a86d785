"""The content header: a body's size and the properties of basic (AMQP 0-9-1 §4.2.6.1, §1.8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from struct import Struct
from typing import Any

from dulse.amqp.faults import unwritable, violation
from dulse.amqp.tables import decode_array, decode_table, encode_array, encode_table
from dulse.amqp.wire import LONG_LONG, OCTET, SHORT, read_number, read_short_string, short_string

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
_UNKNOWN = 0b11  # the lowest flag says that more flags follow, which no class needs; the next has no property
_BASIC = 60


@dataclass(slots=True)
class Properties:
    """The properties of one message; None means absent, which is not the same as empty."""

    content_type: str | None = None
    content_encoding: str | None = None
    headers: dict[str, Any] | None = None
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: datetime | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None


def encode(properties: Properties) -> bytes:
    """Write flags and values, which `content_header` completes; EncodeError names the property that does not fit."""
    if properties.headers is None and properties.correlation_id is None and properties.message_id is None:
        return _encode_usual(*(getattr(properties, name) for name, _, _ in LAYOUT))
    return _encode(properties)


@lru_cache(maxsize=256)
def _encode_usual(*values: Any) -> bytes:
    """Write properties that many messages share: once (their fields are plain values, told apart by ==)."""
    return _encode(Properties(*values))


def _encode(properties: Properties) -> bytes:
    flags = 0
    chunks = [b""]
    for name, kind, flag in LAYOUT:
        value = getattr(properties, name)
        if value is not None:
            flags |= flag
            chunks.append(_written(kind, value, f"the property {name}"))
    chunks[0] = SHORT.pack(flags)
    return b"".join(chunks)


def content_header(size: int, encoded: bytes) -> bytes:
    """Write the payload of a header frame for a body of `size` bytes with what `encode` gave."""
    return HEAD.pack(_BASIC, 0, size) + encoded


def body_size(payload: bytes) -> int:
    """Read how many bytes of body follow a header frame; ProtocolError: it is none of basic's."""
    if len(payload) < HEAD.size + SHORT.size:
        raise violation(f"a content header of {len(payload)} bytes is too short", 501)
    group, _, size = HEAD.unpack_from(payload)
    if group != _BASIC:
        raise violation(f"a content header of class {group}, where basic ({_BASIC}) was announced", 501)
    return int(size)


def decode(payload: bytes) -> Properties:
    """Read the properties out of the payload of a header frame; ProtocolError: they are damaged."""
    end = len(payload)
    flags, at = read_number(SHORT, payload, HEAD.size, end)
    if flags & _UNKNOWN:
        raise violation(f"a content header with flags of no property: {flags:#06x}")
    found: dict[str, Any] = {}
    for name, kind, flag in LAYOUT:
        if flags & flag:
            found[name], at = _read(kind, payload, at, end)
    if at != end:
        raise violation(f"a content header has {end - at} bytes more than its properties")
    return Properties(**found)


def _written(kind: str, value: Any, what: str) -> bytes:
    if kind == "shortstr":
        return short_string(value, what)
    if kind == "table":
        return encode_table(value, what)
    if kind == "octet":
        if not 0 <= value <= 255:
            raise unwritable(f"{what} is {value}, and AMQP allows 0 to 255")
        return OCTET.pack(value)
    return encode_array([value], what)[5:]


def _read(kind: str, data: bytes, at: int, end: int) -> tuple[Any, int]:
    if kind == "shortstr":
        return read_short_string(data, at, end)
    if kind == "table":
        return decode_table(data, at, end)
    if kind == "octet":
        return read_number(OCTET, data, at, end)
    seconds, stop = read_number(LONG_LONG, data, at, end)
    wrapped = b"\x00\x00\x00\x09T" + LONG_LONG.pack(seconds)
    return decode_array(wrapped, 0, len(wrapped))[0][0], stop
