"""MessagePack by the package msgpack, with the lengths in a body checked before memory is taken for them."""

from __future__ import annotations

from typing import Any

from dulse.codecs.packages import require

__all__ = ["CONTENT_TYPE", "dumps", "loads"]

CONTENT_TYPE = "application/x-msgpack"
_EXTRA = "msgpack"
_SMALL = 4096  # bytes; arrays nested in so few cannot claim enough elements to matter
_AS_DATETIME = 3


def dumps(value: Any) -> bytes:
    """Write a value; a datetime must know its zone and comes back in UTC."""
    packed: bytes = require("msgpack", _EXTRA).packb(value, use_bin_type=True, datetime=True)
    return packed


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Read a value; no length may exceed the body's own, and nesting ends at the package's limit (1024)."""
    msgpack = require("msgpack", _EXTRA)
    packed = data.encode() if isinstance(data, str) else data
    if len(packed) > _SMALL:
        _check_lengths(msgpack, packed)
    return msgpack.unpackb(packed, raw=False, timestamp=_AS_DATETIME)


def _check_lengths(msgpack: Any, packed: bytes | bytearray | memoryview) -> None:
    # unpackb makes room for an array as soon as it reads its length, so arrays within arrays which all claim
    # a million elements cost gigabytes. Skipping over the same bytes makes nothing, and takes a tenth of the time.
    unpacker = msgpack.Unpacker(max_buffer_size=len(packed))
    unpacker.feed(packed)
    unpacker.skip()
