"""The wire form of values that JSON has no word for: ``{"__type__": marker, "__value__": …}``, as Kombu 5.3 writes it.

Kombu 4 and 5.2 wrote dates, decimals and UUIDs as plain strings; these stay strings when read.
"""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["MARKER", "register_type", "represent", "restore"]

T = TypeVar("T")
EncodedT = TypeVar("EncodedT")

MARKER = "__type__"
_VALUE = "__value__"


class _Form(NamedTuple):
    marker: str | None
    encode: Callable[[Any], Any]


_forms: dict[type, _Form] = {}
_decoders: dict[Any, Callable[[Any], Any]] = {}


def _as_it_is(value: Any) -> Any:
    return value


def register_type(
    t: type[T],
    marker: str | None,
    encoder: Callable[[T], EncodedT],
    decoder: Callable[[EncodedT], T] = _as_it_is,
) -> None:
    """Give the values of a type, and of its subclasses, a wire form in JSON.

    `encoder` turns a value into what JSON can write, `decoder` turns that back. With the marker None the
    encoded value is written bare, and the reader gets just that. The class nearest to a value's own decides;
    registering again replaces. Applies to the whole process; register before the first message.
    """
    _forms[t] = _Form(marker, encoder)
    if marker is not None:
        _decoders[marker] = decoder


def represent(value: Any) -> Any:
    """Give what JSON can write in place of `value`; TypeError where there is nothing."""
    reducer = getattr(value, "__json__", None)
    if reducer is not None:
        return reducer()
    form = _form_of(type(value))
    if form is not None:
        encoded = form.encode(value)
        return encoded if form.marker is None else {MARKER: form.marker, _VALUE: encoded}
    if isinstance(value, bytes | bytearray | memoryview):
        return _represent_bytes(bytes(value))
    if isinstance(value, Enum):
        return value.value
    # The module is slow to import, and there can be no UUID unless somebody has imported it.
    uuid = sys.modules.get("uuid")
    if uuid is not None and isinstance(value, uuid.UUID):
        return {MARKER: "uuid", _VALUE: {"hex": value.hex}}
    # Django's lazy translations are text that is not yet chosen; there can be none unless its module is loaded.
    django = sys.modules.get("django.utils.functional")
    if django is not None and isinstance(value, django.Promise):
        return str(value)
    raise TypeError(f"{type(value).__name__!r} has no form in JSON; give it a __json__ method or use register_type()")


def restore(mapping: dict[str, Any]) -> Any:
    """Turn a marked value back; other mappings stay as they are. ValueError for a marker nobody registered."""
    if len(mapping) != 2 or MARKER not in mapping or _VALUE not in mapping:  # noqa: PLR2004 - exactly these two keys
        return mapping
    marker = mapping[MARKER]
    decoder = _decoders.get(marker) if isinstance(marker, str) else None
    if decoder is None:
        raise ValueError(f"{MARKER} {marker!r:.60} is unknown here; register_type() makes it known")
    return decoder(mapping[_VALUE])


def _form_of(kind: type) -> _Form | None:
    for ancestor in kind.__mro__:
        form = _forms.get(ancestor)
        if form is not None:
            return form
    return next((form for abstract, form in _forms.items() if issubclass(kind, abstract)), None)


def _represent_bytes(value: bytes) -> dict[str, str]:
    try:
        return {MARKER: "bytes", _VALUE: value.decode()}
    except UnicodeDecodeError:
        return {MARKER: "base64", _VALUE: b64encode(value).decode()}


def _restore_base64(text: str) -> bytes:
    return b64decode(text, validate=True)


def _restore_uuid(fields: dict[str, str]) -> UUID:
    from uuid import UUID

    return UUID(hex=fields["hex"])  # Kombu 5.3.0 also wrote the version, which the digits already hold


def _restore_date(text: str) -> date:
    return datetime.fromisoformat(text).date()  # a peer may send a full timestamp


def _register_standard_types() -> None:
    register_type(datetime, "datetime", datetime.isoformat, datetime.fromisoformat)
    register_type(date, "date", date.isoformat, _restore_date)
    register_type(time, "time", time.isoformat, time.fromisoformat)
    register_type(Decimal, "decimal", str, Decimal)
    _decoders["uuid"] = _restore_uuid
    _decoders["bytes"] = str.encode
    _decoders["base64"] = _restore_base64


_register_standard_types()
