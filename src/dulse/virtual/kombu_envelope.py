"""Records as Kombu 5 writes them: an envelope of JSON, with the body in base64."""

from __future__ import annotations

import json
import uuid
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from dulse import errors
from dulse.broker import envelope, tables
from dulse.model.message import Record
from dulse.model.timestamps import LAST_SECOND, whole_second

__all__ = ["body_size", "to_kombu", "to_record"]

_EXACT: Final = "dulse-properties"
"""Where properties stand as they are if JSON cannot hold them; Kombu passes over it."""

_TEXTS: Final = (
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
)
_NUMBERS: Final = ("delivery_mode", "priority")
"""Properties that both have under one name; `timestamp` is a number to Kombu's users."""


def to_kombu(payload: bytes) -> bytes:
    """Write a record of ours for Kombu.

    What JSON lacks in headers is written as text: bytes by Latin-1, times as ISO 8601, decimals by their digits; and
    besides, for ours, as it is.
    """
    exchange, routing_key, properties, body = envelope.unpack(payload)
    others = {name: properties[name] for name in (*_TEXTS, *_NUMBERS) if properties.get(name) is not None}
    stamp = properties.get("timestamp")
    if isinstance(stamp, datetime):
        others["timestamp"] = int(stamp.timestamp())
    written = {
        "body": b64encode(body).decode("ascii"),
        "content-encoding": properties.get("content_encoding"),
        "content-type": properties.get("content_type"),
        "headers": properties.get("headers") or {},
        "properties": {
            **others,
            "delivery_info": {"exchange": exchange, "routing_key": routing_key},
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    try:
        return json.dumps(written, separators=(",", ":")).encode()
    except TypeError:
        written[_EXACT] = tables.encode(properties)
        return json.dumps(written, default=_plain, separators=(",", ":")).encode()


def to_record(data: bytes) -> bytes:
    """Read what Kombu, or `to_kombu`, wrote and give a record of ours; what is none comes back as it is."""
    try:
        found = json.loads(data)
        record = _record(found)
        return envelope.pack(record)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, errors.EncodeError):
        return data


def body_size(payload: bytes) -> int:
    """Count the bytes of the body of a record of ours."""
    return len(envelope.unpack(payload).body)


def _record(found: Mapping[str, Any]) -> Record:
    exact = found.get(_EXACT)
    if isinstance(exact, str):
        info = found["properties"]["delivery_info"]
        return Record(info["exchange"], info["routing_key"], tables.decode(exact), _body(found, found["properties"]))
    given, headers = found["properties"], dict(found.get("headers") or {})
    headers.pop("redelivered", None)
    info = given.get("delivery_info") or {}
    properties: dict[str, Any] = {name: str(given[name]) for name in _TEXTS if given.get(name) is not None}
    for name, written in (("content_type", "content-type"), ("content_encoding", "content-encoding")):
        if found.get(written) is not None:
            properties[name] = str(found[written])
    if headers:
        properties["headers"] = headers
    for name in _NUMBERS:
        if isinstance(given.get(name), int):
            properties[name] = given[name]
    stamp = given.get("timestamp")
    if isinstance(stamp, int) and 0 <= stamp <= LAST_SECOND:
        properties["timestamp"] = whole_second(stamp)
    return Record(str(info.get("exchange") or ""), str(info.get("routing_key") or ""), properties, _body(found, given))


def _body(found: Mapping[str, Any], properties: Mapping[str, Any]) -> bytes:
    body = found.get("body")
    if body is None:
        return b""
    if properties.get("body_encoding") == "base64":
        return b64decode(body, validate=True)
    if isinstance(body, str):
        encoding = found.get("content-encoding")
        return body.encode("latin-1" if encoding == "binary" else "utf-8", "surrogateescape")
    return json.dumps(body).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return value.decode("latin-1")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise errors.make(errors.EncodeError, f"a header of type {type(value).__name__} cannot be written for Kombu")
