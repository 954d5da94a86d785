"""JSON as Kombu's peers write and read it, at the price of the standard library's C coder alone."""

from __future__ import annotations

from collections.abc import Callable
from json import JSONDecoder, JSONEncoder, encoder
from typing import Any

from dulse.codecs.markers import MARKER, represent, restore

__all__ = ["dumps", "loads"]


def _build_dumps() -> Callable[[Any], str]:
    make_encoder = getattr(encoder, "c_make_encoder", None)
    if make_encoder is None:  # not CPython
        return JSONEncoder(check_circular=False, default=represent).encode
    # Built once, where json.dumps builds one per call. Without the record of open containers (the first
    # argument) it keeps no state, so that threads can share it; a circle then ends in a RecursionError.
    write = make_encoder(None, represent, encoder.encode_basestring_ascii, None, ": ", ", ", False, False, True)

    def dumps(value: Any) -> str:
        """Write a value as ASCII JSON, byte for byte as Kombu does.

        What JSON has no word for is written by its `__json__()` or by the form of `register_type`. NaN and
        the infinities are written as ``NaN`` and ``Infinity``, which Python reads and other languages may not.
        """
        return "".join(write(value, 0))

    return dumps


dumps = _build_dumps()

_plain = JSONDecoder()
_marked = JSONDecoder(object_hook=restore)
_MARKER_KEY = f'"{MARKER}"'
_BEGINNINGS = frozenset('{["')


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Read JSON in UTF-8 (RFC 8259 §8.1); raise ValueError, or what a registered decoder raises."""
    text = data if isinstance(data, str) else str(data, "utf-8")
    # A hook makes the C decoder call Python for every object, so it is used only where it can find something.
    if _MARKER_KEY in text:
        return _marked.decode(text.removeprefix("\ufeff"))
    if text[:1] in _BEGINNINGS:
        # `decode` looks for space around the text by two regular expressions, and programs hardly write any.
        value, end = _plain.raw_decode(text)
        if end == len(text):
            return value
    return _plain.decode(text.removeprefix("\ufeff"))
