"""A payload to the body of a message and back, in the order that keeps a hostile body from doing harm."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from dulse import errors
from dulse.codecs import text
from dulse.codecs.compression import DEFAULT_LIMIT, compress, decompress
from dulse.codecs.offender import reason
from dulse.codecs.registry import registry

__all__ = ["Encoded", "decode", "encode"]


class Encoded(NamedTuple):
    """A body with what the receiver must know to read it."""

    body: bytes
    content_type: str
    content_encoding: str
    compression: str | None
    """The content type of the compression, for the header `compression`."""


def encode(
    payload: Any,
    serializer: str | None = None,
    compression: str | None = None,
    content_type: str | None = None,
    content_encoding: str | None = None,
) -> Encoded:
    """Turn a payload into a body.

    With a content type, the payload is taken to be in that form already: bytes, or text that is written in
    `content_encoding` (by default utf-8). Raises EncodeError and SerializerNotInstalled.
    """
    body: Any = payload
    if not content_type:
        content_type, content_encoding, body = registry.dumps(payload, serializer)
    if isinstance(body, bytes):
        content_encoding = content_encoding or text.BINARY
    else:
        content_encoding = content_encoding or (text.UTF8 if isinstance(body, str) else text.BINARY)
        body = _to_bytes(body, content_type, content_encoding)
    if compression:
        body, compression = compress(body, compression)
    return Encoded(body, content_type, content_encoding, compression or None)


def decode(
    body: bytes | bytearray | memoryview | str,
    content_type: str | None,
    content_encoding: str | None,
    accept: Collection[str] | None = None,
    compression: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Any:
    """Turn a body back into its payload: check `accept`, then expand up to `limit` bytes, then decode.

    Raises ContentDisallowed before anything is expanded, DecodeError, and SerializerNotInstalled where an
    accepted serializer's package is missing.
    """
    if compression:
        registry.admit(content_type, accept)
        body = decompress(body.encode() if isinstance(body, str) else body, compression, limit)
    return registry.loads(body, content_type, content_encoding, accept)


def _to_bytes(body: Any, content_type: str, content_encoding: str) -> bytes:
    try:
        if not isinstance(body, str):
            return text.write_raw(body)
        return body.encode() if content_encoding == text.UTF8 else text.write(body, content_encoding)
    except (TypeError, ValueError) as error:
        words = f"a body of content type {content_type!r} must be bytes or text: {reason(error)}"
        raise errors.make(errors.EncodeError, words) from error
