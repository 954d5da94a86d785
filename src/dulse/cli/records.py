"""A message as a line of JSON, as `consume`, `get` and `peek` write it and `publish --format records` reads it.

`body` is the JSON document of a message of type application/json, else its text; `body_base64` its bytes, where it is
neither. Times, bytes and decimals among the headers are written as the JSON serializer of dulse writes them.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from dulse import Message
from dulse.cli.failures import Failed
from dulse.codecs import dumps, loads

JSON = "application/json"

UNREADABLE = (ValueError, RecursionError)
"""What is raised by a text that is not JSON, or nested too deeply for us."""

_TEXTS = frozenset(
    {"content_type", "content_encoding", "correlation_id", "reply_to", "message_id", "type", "user_id", "app_id"}
)
_NUMBERS = frozenset({"priority", "delivery_mode", "timestamp"})
_FIELDS = frozenset(
    {"body", "body_base64", "headers", "properties", "exchange", "routing_key", "deliveries", "age", "time_to_live"}
)
_ADDED = ("x-delivery-count", "compression")
"""Headers that say nothing of the message as it is written here."""


def write_record(message: Message[Any]) -> bytes:
    """Write a message as a line of JSON, without the end of the line."""
    info = message.delivery_info
    record = {
        **_body(message),
        "headers": {name: value for name, value in message.headers.items() if name not in _ADDED},
        "properties": message.properties,
        "exchange": info.get("exchange", ""),
        "routing_key": info.get("routing_key", ""),
        "deliveries": message.headers.get("x-delivery-count", 0) + ("age" not in info),
    }
    record.update((name, info[name]) for name in ("age", "time_to_live") if info.get(name) is not None)
    return _encoded(record)


def _encoded(record: Any) -> bytes:
    text = dumps(record, "json")[2]
    return text.encode() if isinstance(text, str) else bytes(text)


def _body(message: Message[Any]) -> dict[str, Any]:
    body = bytes(message.body)
    try:
        text = body.decode()
        if message.content_type != JSON:
            return {"body": text}
        return {"body": json.loads(text, parse_constant=_refuse, parse_float=_finite)}
    except UNREADABLE:
        return {"body_base64": base64.b64encode(body).decode("ascii")}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    found = float(number)
    if math.isinf(found):
        raise ValueError(f"{number} is no number that could be written again")
    return found


def read_record(line: bytes) -> tuple[Any, dict[str, Any]]:
    """Read such a line: the body, and arguments of `publish`. Failed says what is wrong with it."""
    try:
        record = json.loads(line)
    except UNREADABLE as error:
        raise Failed(f"is not JSON: {error}") from error
    if not isinstance(record, dict) or ("body" in record) == ("body_base64" in record):
        raise Failed("is no record: it must be an object with either body or body_base64")
    unknown = record.keys() - _FIELDS
    if unknown:
        raise Failed(f"has the field {min(unknown)!r}, which no record has: known are {', '.join(sorted(_FIELDS))}")
    options = _properties(_table(record, "properties"))
    options.setdefault("content_type", "text/plain")
    headers = _table(record, "headers")
    if headers:
        options["headers"] = loads(json.dumps(headers), JSON, "utf-8", [JSON])
    for name in ("exchange", "routing_key"):
        if name in record:
            options[name] = _typed(record[name], str, name)
    return _read_body(record, options["content_type"]), options


def _read_body(record: Mapping[str, Any], content_type: str) -> bytes:
    if "body_base64" in record:
        try:
            return base64.b64decode(record["body_base64"], validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            raise Failed(f"has a body_base64 that is not base64: {error}") from error
    body = record["body"]
    if content_type == JSON:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="backslashreplace")  # half of a surrogate pair, whose escape in Python is JSON's
    try:
        return bytes(_typed(body, str, "body").encode())
    except UnicodeEncodeError as error:
        raise Failed(f"has a body that is no text ({error}): give its bytes as body_base64") from error


def _properties(given: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name in _TEXTS:
            options[name] = _typed(value, str, name)
        elif name in _NUMBERS:
            options[name] = _typed(value, int, name)
        elif name == "expiration":
            options[name] = _seconds(value)
        elif name != "cluster_id":
            raise Failed(f"has the property {name!r}, which AMQP does not have")
    return options


def _seconds(expiration: Any) -> float:
    try:
        return int(expiration) / 1000
    except (TypeError, ValueError) as error:
        raise Failed(f"has the expiration {expiration!r}: it must be a number of milliseconds") from error


def _table(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    table: dict[str, Any] = _typed(record.get(name, {}), dict, name)
    return table


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Failed(f"has {name} of type {type(value).__name__}: it must be of type {kind.__name__}")
    return value


def parse_property(name: str, text: str) -> Any:
    """Read one of AMQP's properties as it is given on the command line; Failed names those that there are."""
    if name in _TEXTS:
        return text
    if name == "timestamp" and text.isdecimal():
        return int(text)
    known = ", ".join(sorted((*_TEXTS, "timestamp")))
    raise Failed(
        f"{name}={text} is no property of a message that can be given: those are {known} (timestamp: a number)"
    )
