"""Redis' wire format in both directions: commands as RESP arrays, replies as RESP2 or RESP3 (redis.io, "RESP")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

Word = bytes | str | int
"""One word of a command. Texts go as UTF-8."""

Command = Sequence[Word]

NOTHING: Final = object()
"""What a parser gives while no whole reply is there."""

MOST_LEVELS: Final = 32
"""How deep replies may be nested."""
LONGEST_LINE: Final = 64 * 1024
"""Bytes of a line without its end, which no server sends."""
MOST_ITEMS: Final = 1 << 24
"""Items that one reply may announce."""


class Malformed(Exception):
    """What came is no reply; the text says why."""


class ErrorReply(Exception):
    """A reply that is an error: `code` is its first word (`WRONGTYPE`), `text` all of it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.code = text.partition(" ")[0]


class Push(list[Any]):
    """What the server says unasked (RESP3): its kind, and what belongs to it."""


def pack(command: Command) -> bytes:
    """Give the bytes of one command."""
    out = [b"*%d\r\n" % len(command)]
    for word in command:
        data = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape")
        out.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(out)


class _Open:
    """An aggregate of which items are missing."""

    __slots__ = ("finish", "items", "size")

    def __init__(self, size: int, items: list[Any], finish: Callable[[list[Any]], Any]) -> None:
        self.size = size
        self.items = items
        self.finish = finish


class Parser:
    """Gives the replies in what it is fed, one after the other; raises Malformed for what is none."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        self._open: list[_Open] = []

    def __repr__(self) -> str:
        return f"<Parser, {len(self._data) - self._at} bytes not read>"

    def feed(self, data: bytes) -> None:
        """Take what came."""
        if self._at == len(self._data):
            self._data.clear()
            self._at = 0
        self._data += data

    def gets(self) -> Any:
        """Give the next whole reply, or NOTHING."""
        while True:
            value = self._element()
            if value is NOTHING:
                return NOTHING
            if isinstance(value, _Open):
                if len(self._open) >= MOST_LEVELS:
                    raise Malformed(f"a reply is nested deeper than {MOST_LEVELS} levels")
                if value.size:
                    self._open.append(value)
                    continue
                value = value.finish([])
            while self._open:
                inner = self._open[-1]
                inner.items.append(value)
                if len(inner.items) < inner.size:
                    break
                self._open.pop()
                value = inner.finish(inner.items)
            else:
                return value

    def _element(self) -> Any:
        end = self._data.find(b"\r\n", self._at)
        if end < 0:
            if len(self._data) - self._at > LONGEST_LINE and self._data[self._at : self._at + 1] not in b"$=!":
                raise Malformed(f"a line of more than {LONGEST_LINE} bytes")
            return NOTHING
        kind = self._data[self._at : self._at + 1]
        line = bytes(self._data[self._at + 1 : end])
        if kind in b"$=!":
            return self._blob(kind, line, end + 2)
        self._at = end + 2
        if kind == b"+":
            return line
        if kind == b"-":
            return ErrorReply(line.decode("utf-8", "replace"))
        if kind == b":":
            return _number(line)
        return _aggregate_or_scalar(bytes(kind), line)

    def _blob(self, kind: bytes | bytearray, line: bytes, begin: int) -> Any:
        size = _number(line)
        if size < 0:
            self._at = begin
            return None
        end = begin + size
        if len(self._data) < end + 2:
            return NOTHING
        data = bytes(self._data[begin:end])
        self._at = end + 2
        if self._at > LONGEST_LINE:
            del self._data[: self._at]
            self._at = 0
        if kind == b"!":
            return ErrorReply(data.decode("utf-8", "replace"))
        return data[4:] if kind == b"=" else data


def _aggregate_or_scalar(kind: bytes, line: bytes) -> Any:
    if kind in b"*~>%|":
        size = _number(line)
        if size > MOST_ITEMS:
            raise Malformed(f"a reply of {size} items, and {MOST_ITEMS} are taken")
        if size < 0:
            return None
        if kind in b"%|":
            return _Open(2 * size, [], _as_map)
        return _Open(size, [], Push if kind == b">" else list)
    read = _SCALARS.get(kind)
    if read is None:
        raise Malformed(f"a reply that begins with {kind!r}")
    return read(line)


def _as_map(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _number(line: bytes) -> int:
    try:
        return int(line)
    except ValueError:
        raise Malformed(f"{line[:40]!r} where a number belongs") from None


def _float(line: bytes) -> float:
    try:
        return float(line)
    except ValueError:
        raise Malformed(f"{line[:40]!r} where a number belongs") from None


_SCALARS: Final[dict[bytes, Callable[[bytes], Any]]] = {
    b"_": lambda _line: None,
    b"#": lambda line: line == b"t",
    b",": _float,
    b"(": _number,
}
