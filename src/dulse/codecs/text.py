"""Text and raw bytes: bodies that need no serializer, and the character sets a sender may name."""

from __future__ import annotations

from typing import Any

__all__ = ["BINARY", "DATA", "PLAIN", "UTF8", "read", "write", "write_raw"]

DATA = "application/data"
PLAIN = "text/plain"
BINARY = "binary"
UTF8 = "utf-8"

_BYTES = frozenset({"binary", "ascii-8bit"})
_OPAQUE = frozenset({DATA, "application/octet-stream"})

# Only these run for a sender's content-encoding. Python's own table also holds transformations of bytes
# such as zlib, bz2 and hex, which a stranger must not be able to start.
_NAMES = """
    ascii us-ascii=ascii ansi-x3.4-1968=ascii latin-1 latin1=latin-1 l1=latin-1
    utf-8 utf8=utf-8 u8=utf-8 utf-8-sig utf-16 utf16=utf-16 utf-32 utf32=utf-32
    utf-16-le utf-16le=utf-16-le utf-16-be utf-16be=utf-16-be utf-32-le utf-32le=utf-32-le utf-32-be utf-32be=utf-32-be
    koi8-r koi8-u mac-roman tis-620 big5 gb2312 gbk gb18030 euc-jp euc-kr iso-2022-jp iso-2022-kr
    shift-jis sjis=shift-jis windows-31j=cp932 windows-874=cp874 cp874 cp932 cp936 cp949 cp950
"""
_ISO_8859 = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)
_IBM = (437, 850, 852, 855, 858, 862, 866)
_CHARACTER_SETS = {
    **{name: codec or name for name, _, codec in (pair.partition("=") for pair in _NAMES.split())},
    **{f"{prefix}8859-{part}": f"iso8859-{part}" for prefix in ("iso-", "iso") for part in _ISO_8859},
    **{f"{prefix}{page}": f"cp{page}" for prefix in ("cp", "windows-") for page in range(1250, 1259)},
    **{f"{prefix}{page}": f"cp{page}" for prefix in ("cp", "ibm") for page in _IBM},
}


def read(data: bytes | bytearray | memoryview | str, content_type: str, content_encoding: Any) -> bytes | str:
    """Give a body that no serializer decodes as its sender meant it: bytes, or text in a known character set.

    A body without any content-encoding is bytes if its type says nothing (`application/data`), else UTF-8.
    Raises ValueError where the encoding is unknown and UnicodeError where the bytes are not in it.
    """
    if isinstance(data, str):
        return data
    encoding = _name_of(content_encoding) or (BINARY if content_type in _OPAQUE else UTF8)
    if encoding in _BYTES:
        return bytes(data)
    character_set = _character_set(encoding)
    if character_set is None:
        raise ValueError(
            f"content-encoding {encoding[:60]!r} is not a known character set (binary leaves the bytes as they are)"
        )
    return str(data, character_set)


def write(data: Any, content_encoding: str = UTF8) -> bytes:
    """Encode text in a character set that `read` knows. Raises TypeError, ValueError and UnicodeError."""
    if not isinstance(data, str):
        raise TypeError(f"text must be a str, not {type(data).__name__!r}")
    if content_encoding == UTF8:  # nearly always, and most of what writing costs is finding that out
        return data.encode()
    character_set = _character_set(content_encoding)
    if character_set is None:
        raise ValueError(f"content-encoding {content_encoding[:60]!r} is not a known character set; use utf-8")
    return data.encode(character_set)


def write_raw(data: Any) -> bytes:
    """Give the bytes of bytes, or of text in UTF-8. Raises TypeError and UnicodeError."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"raw takes bytes or str, not {type(data).__name__!r}")


def _name_of(content_encoding: Any) -> str:
    if isinstance(content_encoding, bytes):
        content_encoding = content_encoding.decode("latin-1")
    if content_encoding is not None and not isinstance(content_encoding, str):
        raise ValueError(f"content-encoding must be text, not {type(content_encoding).__name__!r}")
    return (content_encoding or "").strip().lower()


def _character_set(name: str) -> str | None:
    return _CHARACTER_SETS.get(name.strip().lower().replace("_", "-"))
