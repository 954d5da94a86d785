"""Pickle, which runs the sender's code on reading: off unless it is enabled and accepted."""

from __future__ import annotations

from typing import Any

__all__ = ["CONTENT_TYPE", "PROTOCOL", "dumps", "loads"]

CONTENT_TYPE = "application/x-python-serialize"
PROTOCOL = 4  # every Python since 3.4 reads it


def dumps(value: Any) -> bytes:
    """Write a value as a pickle of protocol 4."""
    import pickle  # most programs never use it

    return pickle.dumps(value, PROTOCOL)


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Read a pickle, which may run any code of its writer's choice."""
    import pickle  # most programs never use it

    return pickle.loads(data.encode() if isinstance(data, str) else data)  # noqa: S301 - enabled and accepted by the user
