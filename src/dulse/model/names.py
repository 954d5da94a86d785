"""The limit that AMQP sets to names: of exchanges, queues, consumer tags, and to routing keys."""

from __future__ import annotations

from dulse import errors

LONGEST = 255
"""Bytes of UTF-8 that a name may have (a short string: AMQP 0-9-1 §4.2.5.3)."""

_SURELY_SHORT = LONGEST // 4


def check_name(kind: str, name: str) -> str:
    """Give `name` back if every broker can carry it, else raise InvalidArgument; `kind` says what it is the name of.

    Any character is allowed; the limit is `LONGEST` bytes of UTF-8.
    """
    if name.__class__ is str and len(name) <= _SURELY_SHORT and name.isascii():
        return name
    if not isinstance(name, str):
        raise errors.make(
            errors.InvalidArgument, f"the {kind} {name!r} is no text but {type(name).__name__}: give a str"
        )
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        text = f"the {kind} {name!r} cannot be written as UTF-8: it has a lone surrogate at character {error.start}"
        raise errors.make(errors.InvalidArgument, text) from error
    if size > LONGEST:
        text = f"the {kind} {name[:40]!r}… has {size} bytes of UTF-8; the limit is {LONGEST}: choose a shorter one"
        raise errors.make(errors.InvalidArgument, text)
    return name
