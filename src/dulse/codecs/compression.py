"""The table of compressions: a body to fewer bytes and back, never beyond a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from dulse import errors
from dulse.codecs import streams
from dulse.codecs.offender import reason
from dulse.codecs.packages import NotInstalled, require

__all__ = ["DEFAULT_LIMIT", "compress", "decompress", "encoders", "get_decoder", "get_encoder", "register"]

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Bytes that a body may expand to."""

Encoder = Callable[[bytes], bytes]
Decoder = Callable[[bytes], bytes]


class _Method(NamedTuple):
    """One compression: how to write it, how to read it within a limit, and what must be importable for both."""

    encode: Encoder
    expand: Callable[[bytes, int], bytes]
    find_module: Callable[[], object] | None = None

    def is_installed(self) -> bool:
        if self.find_module is None:
            return True
        try:
            self.find_module()
        except NotInstalled:
            return False
        return True


_methods: dict[str, _Method] = {}
_aliases: dict[str, str] = {}


def register(encoder: Encoder, decoder: Decoder, content_type: str, aliases: Iterable[str] | None = None) -> None:
    """Add a compression, or replace the one of that content type.

    Both functions take and give bytes. `decoder` is given the whole body and its result is measured after
    the fact, so it should have a limit of its own.
    """

    def expand(body: bytes, limit: int) -> bytes:
        expanded = decoder(body)
        if len(expanded) > limit:
            raise OverflowError(f"it expands to {len(expanded)} bytes, more than the limit of {limit}")
        return expanded

    _add(_Method(encoder, expand), content_type, aliases or ())


def encoders() -> list[str]:
    """Give the content types of the compressions that can be used here."""
    return [content_type for content_type, method in _methods.items() if method.is_installed()]


def get_encoder(t: str) -> tuple[Encoder, str]:
    """Give the compressing function and the content type of a name; SerializerNotInstalled for an unknown one."""
    content_type = _aliases.get(t, t)
    return _method_of(content_type).encode, content_type


def get_decoder(t: str) -> Callable[[bytes], bytes]:
    """Give a function that expands up to `DEFAULT_LIMIT` bytes; SerializerNotInstalled for an unknown name."""
    content_type = _aliases.get(t, t)
    _method_of(content_type)
    return partial(decompress, content_type=content_type)


def compress(body: bytes | bytearray | memoryview | str, content_type: str) -> tuple[bytes, str]:
    """Compress a body by a name such as ``zstd`` or a content type; give it with its content type.

    Raises SerializerNotInstalled for a name nobody registered and where a package is missing.
    """
    encode, content_type = get_encoder(content_type)
    try:
        return encode(body.encode() if isinstance(body, str) else bytes(body)), content_type
    except NotInstalled as error:
        raise errors.make(errors.SerializerNotInstalled, f"compressing as {content_type} {error}") from error
    except Exception as error:
        raise errors.make(errors.EncodeError, f"cannot compress as {content_type}: {reason(error)}") from error


def decompress(body: bytes | bytearray | memoryview, content_type: Any, limit: int = DEFAULT_LIMIT) -> bytes:
    """Expand a body, as one whole stream, to `limit` bytes at most.

    Memory grows by no more than the limit and half as much. Raises DecodeError, naming the content type, for
    one that is unknown or whose package is missing, for damage, a missing end, whatever follows the end, and
    for more than the limit.
    """
    if not isinstance(content_type, str):
        raise errors.make(errors.DecodeError, f"the compression must be text, not {type(content_type).__name__!r}")
    method = _methods.get(_aliases.get(content_type, content_type))
    if method is None:
        raise errors.make(
            errors.DecodeError, f"the compression {content_type[:100]!r} is unknown; there are {', '.join(_methods)}"
        )
    try:
        return method.expand(body if isinstance(body, bytes) else bytes(body), limit)
    except NotInstalled as error:
        raise errors.make(errors.DecodeError, f"expanding {content_type} {error}") from error
    except Exception as error:
        raise errors.make(
            errors.DecodeError, f"cannot expand a body of {len(body)} bytes as {content_type}: {reason(error)}"
        ) from error


def _method_of(content_type: str) -> _Method:
    method = _methods.get(content_type)
    if method is None:
        raise errors.make(
            errors.SerializerNotInstalled,
            f"no compression is called {content_type!r}: there are {', '.join([*_aliases, *_methods])}",
        )
    return method


def _add(method: _Method, content_type: str, aliases: Iterable[str]) -> None:
    _methods[content_type] = method
    _aliases.update((alias, content_type) for alias in aliases)


def _add_built_in(
    content_type: str,
    aliases: tuple[str, ...],
    find_module: Callable[[], Any],
    open_stream: Callable[[int], streams.Stream],
) -> None:
    def encode(body: bytes) -> bytes:
        compressed: bytes = find_module().compress(body)
        return compressed

    def expand(body: bytes, limit: int) -> bytes:
        return streams.expand(open_stream(limit), body, limit)

    _add(_Method(encode, expand, find_module), content_type, aliases)


# The content types are Kombu's; application/x-gzip really holds zlib's format, and gzip's is read as well.
_add_built_in("application/x-gzip", ("gzip", "zlib"), partial(require, "zlib", "all"), streams.open_zlib)
_add_built_in("application/x-bz2", ("bzip2", "bzip"), partial(require, "bz2", "all"), streams.open_bzip2)
_add_built_in("application/x-lzma", ("lzma", "xz"), partial(require, "lzma", "all"), streams.open_lzma)
_add_built_in("application/zstd", ("zstd", "zstandard"), streams.zstd_module, streams.open_zstd)
_add_built_in("application/x-brotli", ("brotli",), partial(require, "brotli", "brotli"), streams.open_brotli)
