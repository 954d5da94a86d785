"""Which value inside a payload could not be written, looked for only after the failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["fails", "locate", "reason"]

_MAX_STEPS = 32  # each step encodes the failing part once more, and a longer path tells a reader nothing
_MAX_REASON = 200  # the words of a foreign error may hold the payload itself


def reason(error: BaseException) -> str:
    """Put an error into a few words."""
    words = str(error)[:_MAX_REASON]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def locate(data: Any, encode: Callable[[Any], object], error: Exception) -> str:
    """Say where in `data` the value is that made `encode` raise `error`, and what is wrong with it.

    Walks down through dicts, lists and tuples and encodes every child again until one fails whose own
    children all succeed. The path reads like ``$.orders[3].customer``.
    """
    path, ancestors = "$", {id(data): "$"}
    for _ in range(_MAX_STEPS):
        found = _first_failing(data, encode)
        if found is None:
            return f"{path}: object of type {type(data).__name__!r} ({reason(error)})"
        step, data, error = found
        path += step
        if id(data) in ancestors:
            return f"{path}: a circular reference back to {ancestors[id(data)]}"
        ancestors[id(data)] = path
    return f"{path}…: nested too deeply ({reason(error)})"


def fails(encode: Callable[[Any], object], data: Any) -> bool:
    """Tell whether `encode` cannot write `data`, by trying."""
    try:
        encode(data)
    except Exception:  # noqa: BLE001 - whatever it is, it is the answer
        return True
    return False


def _first_failing(data: Any, encode: Callable[[Any], object]) -> tuple[str, Any, Exception] | None:
    for step, child in _children(data):
        try:
            encode(child)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return step, child, error
    return None


def _children(data: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            plain = isinstance(key, str) and key.isidentifier()
            yield f".{key}" if plain else f"[{str(key)[:40]!r}]", value
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield f"[{index}]", value
