"""A record as bytes, for stores of bytes.

::

    version (1 byte)   kind (1 byte)   length of the head (4 bytes, big endian)   head (JSON)   body

The head is a list: exchange, routing key, properties (with every type of header, see `tables`). A head of kind 1 has
no headers and nothing that differs from one message to the next: such heads are few, so that each is written and read
once and then remembered. The body stands as it is; an envelope may have 2**32 bytes.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Any

from dulse import errors
from dulse.broker import tables
from dulse.model.message import Properties, Record

__all__ = ["VERSION", "pack", "unpack"]

VERSION = 1

_PREFIX = Struct(">BBI")
_PREFIX_SIZE = _PREFIX.size
_read_prefix = _PREFIX.unpack_from
_new = tuple.__new__  # half the cost of calling the class, on the path of every delivery
_RECURRING, _SINGULAR = 1, 2
_SINGULAR_PROPERTIES = frozenset({"headers", "correlation_id", "message_id", "timestamp"})
_REMEMBERED = 1024
_LONGEST_REMEMBERED = 4096

_Head = tuple[str, str, Properties]


def pack(record: Record) -> bytes:
    """Write a record; raise EncodeError, naming the path, for a property that cannot be carried.

    Headers without any entry are left out. The record must hold the properties AMQP has, by their names.
    """
    exchange, routing_key, properties, body = record
    if "headers" in properties and not properties["headers"]:
        properties = properties.copy()
        del properties["headers"]
    if not _SINGULAR_PROPERTIES.isdisjoint(properties):
        return _written_head(_SINGULAR, exchange, routing_key, properties) + body
    try:
        return _recurring_head(exchange, routing_key, tuple(properties.items())) + body
    except TypeError:  # an unhashable property: written as any other, or refused with its path
        return _written_head(_SINGULAR, exchange, routing_key, properties) + body


def unpack(data: bytes) -> Record:
    """Read a record; raise DecodeError, saying what is wrong, for anything that `pack` did not write.

    The properties and all in them are the caller's own.
    """
    size = len(data)
    if size < _PREFIX_SIZE:
        raise _damaged(f"it has {size} bytes, too few for any message")
    version, kind, length = _read_prefix(data)
    end = _PREFIX_SIZE + length
    if version != VERSION or end > size:
        raise _damaged(
            f"it is of version {version}, and this release of dulse reads version {VERSION}"
            if version != VERSION
            else f"its head should have {length} bytes, and there are {size - _PREFIX_SIZE}"
        )
    head = data[_PREFIX_SIZE:end]
    if kind == _RECURRING and length <= _LONGEST_REMEMBERED:
        exchange, routing_key, properties = _remembered_head(head)
        return _new(Record, (exchange, routing_key, properties.copy(), data[end:]))
    exchange, routing_key, properties = _read_head(head)
    return Record(exchange, routing_key, properties, data[end:])


@lru_cache(maxsize=_REMEMBERED)
def _recurring_head(exchange: str, routing_key: str, properties: tuple[tuple[str, Any], ...]) -> bytes:
    """Write a head that has been or will be seen again; properties that are equal are written alike."""
    return _written_head(_RECURRING, exchange, routing_key, dict(properties))


def _written_head(kind: int, exchange: str, routing_key: str, properties: Properties) -> bytes:
    head = tables.encode((exchange, routing_key, properties)).encode("ascii")
    return _PREFIX.pack(VERSION, kind, len(head)) + head


def _read_head(head: bytes) -> _Head:
    try:
        exchange, routing_key, properties = tables.decode(head.decode("ascii"))
    except (ValueError, TypeError) as error:
        raise _damaged(f"its head cannot be read: {error}") from error
    if not (isinstance(exchange, str) and isinstance(routing_key, str) and isinstance(properties, dict)):
        raise _damaged("its head does not hold exchange, routing key and properties")
    if not isinstance(properties.get("headers", {}), dict):
        raise _damaged("its headers are not a table")
    return exchange, routing_key, properties


_remembered_head = lru_cache(maxsize=_REMEMBERED)(_read_head)


def _damaged(why: str) -> Exception:
    return errors.make(errors.DecodeError, f"this is not a message that dulse stored: {why}")
