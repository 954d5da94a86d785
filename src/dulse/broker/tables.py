"""Field tables (AMQP 0-9-1 §4.2.5.5) as JSON text: headers and arguments with every type they may have.

JSON's own types stand for themselves. Others are an object with one key that starts with a NUL, followed by the
type's name; a user's own object that has such a key is wrapped in the same manner, so that nothing is mistaken.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from dulse import errors

_MARK = "\0"
_MARK_IN_TEXT = "\\u0000"
_DEEPEST = 100


class _NotPlainError(Exception):
    """A value that JSON has no form for."""


def _refuse(_value: object) -> NoReturn:
    raise _NotPlainError


_plain = json.JSONEncoder(default=_refuse, separators=(",", ":"))
_canonical = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


def encode(value: Any) -> str:
    """Write a table, list or value as ASCII text; raise EncodeError with the path to what cannot be written."""
    try:
        text = _plain.encode(value)
    except (_NotPlainError, TypeError, ValueError, RecursionError):
        return encode_canonical(value)
    return encode_canonical(value) if _MARK_IN_TEXT in text else text


def encode_canonical(value: Any) -> str:
    """Write as `encode` does, but equal tables as equal text, in whatever order their keys were set."""
    try:
        return _canonical.encode(_tagged(value, "", 0))
    except ValueError as error:  # an integer of more digits than Python writes
        raise errors.make(errors.EncodeError, f"the table cannot be written: {error}") from error


def decode(text: str) -> Any:
    """Read what `encode` wrote; raise ValueError if it is something else."""
    try:
        if _MARK_IN_TEXT in text:
            return json.loads(text, object_hook=_untagged)
        return json.loads(text)
    except RecursionError as error:
        message = "nested too deeply"
        raise ValueError(message) from error


def _tagged(value: Any, path: str, depth: int) -> Any:
    """Give what JSON can write for `value`, which stands at `path`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth > _DEEPEST:
        raise errors.make(errors.EncodeError, f"{path or 'the table'} is nested more than {_DEEPEST} levels deep")
    if isinstance(value, Mapping):
        return _tagged_table(value, path, depth)
    if isinstance(value, list | tuple):
        return [_tagged(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    return _tagged_scalar(value, path)


def _tagged_table(table: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in table.items():
        if not isinstance(key, str):
            text = f"{path or 'the table'} has the key {key!r}; keys of a table are str"
            raise errors.make(errors.EncodeError, text)
        plain[key] = _tagged(item, f"{path}.{key}" if path else key, depth + 1)
    if any(key.startswith(_MARK) for key in plain):
        return {f"{_MARK}table": sorted(plain.items())}
    return plain


def _tagged_scalar(value: Any, path: str) -> dict[str, str]:
    if isinstance(value, bytes | bytearray | memoryview):
        return {f"{_MARK}bytes": b64encode(value).decode("ascii")}
    if isinstance(value, datetime):
        return {f"{_MARK}datetime": value.isoformat()}
    if isinstance(value, Decimal):
        return {f"{_MARK}decimal": str(value)}
    text = (
        f"{path or 'the value'} is a {type(value).__name__}, which no field table can hold: use None, bool, int, "
        "float, Decimal, str, bytes, datetime, or lists and dicts of them"
    )
    raise errors.make(errors.EncodeError, text)


_readers: dict[str, Callable[[Any], Any]] = {
    f"{_MARK}bytes": lambda written: b64decode(written, validate=True),
    f"{_MARK}datetime": datetime.fromisoformat,
    f"{_MARK}decimal": Decimal,
    f"{_MARK}table": dict,
}


def _untagged(table: dict[str, Any]) -> Any:
    if len(table) == 1:
        ((key, written),) = table.items()
        reader = _readers.get(key)
        if reader is not None:
            try:
                return reader(written)
            except (TypeError, ValueError, InvalidOperation) as error:
                message = f"a damaged {key[1:]}: {error}"
                raise ValueError(message) from error
    return table
