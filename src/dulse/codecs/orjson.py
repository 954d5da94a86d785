"""The same JSON by the package orjson, for programs that choose it."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.codecs import json
from dulse.codecs.markers import MARKER, represent
from dulse.codecs.packages import NotInstalled, require
from dulse.codecs.registry import registry

if TYPE_CHECKING:
    from dulse.codecs.registry import SerializerRegistry

__all__ = ["use_orjson"]


def _table(classes: dict[str, bytes]) -> bytes:
    table = bytearray(range(256))
    for representative, members in classes.items():
        for member in members:
            table[member] = ord(representative)
    return bytes(table)


_MARKER_KEY = f'"{MARKER}"'.encode()
_DIGITS = _table({"0": b"0123456789"})
_LONG_NUMBER = b"0" * 19
_HEXADECIMAL = _table({"0": b"0123456789abcdef"})
_UUID_SHAPE = b'"00000000-0000-0000-0000-000000000000"'
# The two upper bytes of a non-finite IEEE double, as marshal writes it: exponent bits all set.
_EXPONENTS = _table({"\xff": bytes(range(0xF0, 0x100)) + b"\x7f"})
_NOT_FINITE = b"\xff\xff"


def use_orjson(target: SerializerRegistry = registry) -> None:
    """Let orjson write and read what the registry calls ``json``; peers see the same forms.

    Where orjson would write another form (UUIDs, NaN, keys that are not text, integers over 64 bits) or read
    another value (markers, long integers, NaN) the standard library does that body. Text goes out as UTF-8
    instead of ASCII escapes, and an Enum may go out by its value though a form is registered for it. Needs
    ``dulse[orjson]``.
    """
    try:
        orjson = require("orjson", "orjson")
    except NotInstalled as error:
        raise errors.make(errors.SerializerNotInstalled, f"use_orjson() {error}") from error
    option = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS

    def dumps(value: Any) -> str:
        try:
            written: bytes = orjson.dumps(value, represent, option)
        except TypeError:
            return json.dumps(value)
        return json.dumps(value) if _is_doubtful(written) and not _is_plain(value) else written.decode()

    def loads(data: bytes | bytearray | memoryview | str) -> Any:
        body = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
        if _MARKER_KEY in body or _LONG_NUMBER in body.translate(_DIGITS):
            return json.loads(body)
        try:
            return orjson.loads(body)
        except ValueError:
            return json.loads(body)

    target.register("json", dumps, loads, "application/json")


def _is_doubtful(written: bytes) -> bool:
    # orjson has no switch for these two: NaN becomes null, and a UUID becomes its text.
    return b"null" in written or (b"-" in written and _UUID_SHAPE in written.translate(_HEXADECIMAL))


def _is_plain(value: Any) -> bool:
    # marshal walks the value in C and refuses everything but exact built-in types.
    try:
        walked = marshal.dumps(value)
    except ValueError:
        return False
    # Text hardly has either of the two bytes, and so the search for both together is seldom needed.
    return not (b"\x7f" in walked or b"\xff" in walked) or _NOT_FINITE not in walked.translate(_EXPONENTS)
