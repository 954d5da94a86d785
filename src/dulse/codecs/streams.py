"""Expansion of a compressed body piece by piece, so that a few bytes which unfold to gigabytes cost no memory."""

from __future__ import annotations

import sys
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from dulse.codecs.packages import require

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Stream", "expand", "open_brotli", "open_bzip2", "open_lzma", "open_zlib", "open_zstd", "zstd_module"]

_INPUT = 256 * 1024  # bytes given to a stream at a time
_OUTPUT = 1024 * 1024  # bytes asked of it at a time
_WINDOW = 32 * 1024 * 1024  # memory a body may ask of the expanding side, or half the limit if that is more
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS
_LZMA_OVERHEAD = 2 * 1024 * 1024


class Stream(Protocol):
    """An expanding stream, as bz2, lzma and zstd have it."""

    @property
    def eof(self) -> bool:
        """Whether the end mark was read."""

    @property
    def needs_input(self) -> bool:
        """Whether all that the input so far unfolds to was given out."""

    @property
    def unused_data(self) -> bytes:
        """What followed the end mark."""

    def decompress(self, data: Any, max_length: int) -> bytes:
        """Take input and give out about `max_length` bytes at most; with no input, go on."""


def expand(stream: Stream, body: bytes | bytearray | memoryview, limit: int) -> bytes:
    """Expand one whole stream.

    Raises OverflowError beyond `limit` bytes, EOFError where the end is missing, ValueError where something
    follows it, and the stream's own errors for damage.
    """
    pieces: list[bytes] = []
    size = 0
    for piece in _pieces(stream, memoryview(body)):
        size += len(piece)
        if size > limit:
            raise OverflowError(f"it expands to more than the limit of {limit} bytes")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _pieces(stream: Stream, body: memoryview) -> Iterator[bytes]:
    for start in range(0, len(body), _INPUT):
        if stream.eof:
            break
        end = start + _INPUT
        yield stream.decompress(body[start:end], _OUTPUT)
        while not (stream.needs_input or stream.eof):
            yield stream.decompress(b"", _OUTPUT)
    else:
        if not stream.eof:
            raise EOFError("the end is missing")
        if not stream.unused_data:
            return
    raise ValueError("something follows the end")


class _ZlibStream:
    """zlib's own stream, which hands unread input back, in the form of the others."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_ZLIB_OR_GZIP)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        # Output that is held back keeps at least the check sum unread.
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: Any, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail or data, max_length)


class _BrotliStream:
    """Brotli's stream in the form of the others; it refuses what follows the end by itself."""

    unused_data = b""

    def __init__(self, brotli: Any) -> None:
        self._stream = brotli.Decompressor()
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._stream.is_finished())

    def decompress(self, data: Any, max_length: int) -> bytes:
        piece: bytes = self._stream.process(data, output_buffer_limit=max_length)
        # can_accept_more_data() speaks of input alone: it is true also while output waits inside.
        self.needs_input = not piece
        return piece


def open_zlib(limit: int) -> Stream:  # noqa: ARG001 - its window is 32 KiB
    """Open a stream that reads zlib (RFC 1950) and gzip (RFC 1952)."""
    return _ZlibStream()


def open_bzip2(limit: int) -> Stream:  # noqa: ARG001 - it never needs more than 4 MB
    """Open a stream that reads bzip2."""
    stream: Stream = require("bz2", "all").BZ2Decompressor()
    return stream


def open_lzma(limit: int) -> Stream:
    """Open a stream that reads xz and lzma, with dictionaries of up to 32 MiB or half the limit."""
    stream: Stream = require("lzma", "all").LZMADecompressor(memlimit=_window(limit) + _LZMA_OVERHEAD)
    return stream


def open_zstd(limit: int) -> Stream:
    """Open a stream that reads one Zstandard frame (RFC 8878), with a window of up to 32 MiB or half the limit."""
    zstd = zstd_module()
    options = {zstd.DecompressionParameter.window_log_max: _window(limit).bit_length() - 1}
    stream: Stream = zstd.ZstdDecompressor(options=options)
    return stream


def open_brotli(limit: int) -> Stream:  # noqa: ARG001 - its window is 16 MiB at most (RFC 7932 §9.1)
    """Open a stream that reads brotli."""
    return _BrotliStream(require("brotli", "brotli"))


def zstd_module() -> Any:
    """Give the standard library's zstd (Python 3.14), or the package that carries it to older versions."""
    if sys.version_info >= (3, 14):
        return import_module("compression.zstd")
    return require("backports.zstd", "zstd")


def _window(limit: int) -> int:
    return min(max(_WINDOW, limit // 2), 1 << 31)
