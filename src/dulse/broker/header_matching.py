"""Matching headers: the arguments of a binding against those of a message, as a headers exchange does.

`x-match` says whether all pairs must be there or any one; an argument None stands for mere presence. Arguments that
begin with `x-` take part only with all-with-x and any-with-x. No pairs at all: `all` is always true, `any` never.

Each binding is looked for under pairs it needs: with `any` under each of them, with `all` under the one which the
fewest others share. So a message asks once for each of its own headers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_Pair = tuple[str, Any]
_PRESENT = ("present",)


class HeadersMatcher(Generic[T]):
    """Bindings by their arguments, each with something to find; `arrange` ends the adding."""

    def __init__(self) -> None:
        self._added: list[tuple[frozenset[_Pair], T]] = []
        self._always: list[T] = []
        self._any: dict[_Pair, list[T]] = {}
        self._all: dict[_Pair, list[tuple[frozenset[_Pair], T]]] = {}

    def add(self, arguments: Mapping[str, Any], found: T) -> None:
        """Let messages that satisfy these arguments find this."""
        mode = arguments.get("x-match", "all")
        pairs = _needed(arguments, with_x=str(mode).endswith("-with-x"))
        if str(mode).startswith("any"):
            for pair in pairs:
                self._any.setdefault(pair, []).append(found)
        elif pairs:
            self._added.append((pairs, found))
        else:
            self._always.append(found)

    def arrange(self) -> None:
        """Put each binding that needs several pairs under the rarest of them."""
        shared = Counter(pair for pairs, _ in self._added for pair in pairs)
        for pairs, found in self._added:
            rarest = min(pairs, key=lambda pair: (shared[pair], pair[1] == _PRESENT, pair[0]))
            self._all.setdefault(rarest, []).append((pairs, found))
        self._added.clear()

    def match(self, headers: Mapping[str, Any]) -> list[T]:
        """Give what was added with arguments that these headers satisfy."""
        offered: set[_Pair] = set()
        for name, value in headers.items():
            offered.add((name, _PRESENT))
            offered.add((name, comparable(value)))
        found = list(self._always)
        for pair in offered:
            found += self._any.get(pair, ())
            for pairs, result in self._all.get(pair, ()):
                if pairs <= offered:
                    found.append(result)
        return found


def comparable(value: Any) -> Any:
    """Give something hashable that is equal for values which a headers exchange takes for equal.

    Numbers are compared by value, text and bytes by their bytes; true is not 1.
    """
    if isinstance(value, str):
        return ("text", value.encode(errors="surrogatepass"))
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, bytes | bytearray | memoryview):
        return ("text", bytes(value))
    return _comparable_compound(value)


def _comparable_compound(value: Any) -> Any:
    if isinstance(value, Decimal):
        return ("number", "nan" if value.is_nan() else value)
    if isinstance(value, datetime):
        return ("time", value)
    if isinstance(value, Mapping):
        return ("table", frozenset((name, comparable(item)) for name, item in value.items()))
    if isinstance(value, list | tuple):
        return ("array", *map(comparable, value))
    return ("nothing",) if value is None else (type(value).__name__, repr(value))


def _needed(arguments: Mapping[str, Any], *, with_x: bool) -> frozenset[_Pair]:
    return frozenset(
        (name, _PRESENT if value is None else comparable(value))
        for name, value in arguments.items()
        if name != "x-match" and (with_x or not name.startswith("x-"))
    )
