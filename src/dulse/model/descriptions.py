"""What exchanges, queues and bindings have in common: plain attributes that can be compared, copied and pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

Attributes = tuple[tuple[str, Callable[[Any], Any] | None], ...]
"""Names of attributes in their documented order, each with what turns a given value into the kept one."""


class Description:
    """Attributes named in `attrs`, assignable; a class attribute is the default of its instances.

    Equal to another of its kind by value and hashed by kind and name, so one whose name changes has to leave the
    sets and dicts that it is in first. Copies and pickles are not bound to a channel.
    """

    kind: ClassVar[str] = ""
    attrs: ClassVar[Attributes] = ()
    unpickled: ClassVar[frozenset[str]] = frozenset({"_channel", "on_declared"})
    """Attributes that belong to this process."""

    def __init__(self, **values: Any) -> None:
        known = dict(self.attrs)
        for name, value in values.items():
            if name not in known:
                raise TypeError(_unknown(type(self).__name__, name, known))
            if value is not None:
                convert = known[name]
                setattr(self, name, value if convert is None else convert(value))
        for name in known:
            if not hasattr(self, name):
                setattr(self, name, None)

    def as_dict(self, recurse: bool = False) -> dict[str, Any]:
        """Give the attributes in their documented order; with `recurse`, descriptions inside become dicts too."""
        return {name: _plain(value) if recurse else value for name, value in self._values()}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Description) or other.kind != self.kind:
            return NotImplemented
        return self is other or _comparable(self) == _comparable(other)

    def __hash__(self) -> int:
        return hash((self.kind, getattr(self, "name", None)))

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        for name, value in self.__dict__.items():
            if name != "_channel":
                twin.__dict__[name] = value.copy() if isinstance(value, dict | set | list) else value
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in self.unpickled}

    def _values(self) -> list[tuple[str, Any]]:
        return [
            (name, value if convert is None or value is None else convert(value))
            for name, convert in self.attrs
            for value in (getattr(self, name),)
        ]


def _comparable(entity: Description) -> dict[str, Any]:
    """Give what decides about equality: absent and empty are the same, and a list (of bindings) has no order."""
    values = entity.as_dict().items()
    return {
        name: frozenset(value) if isinstance(value, list) else value for name, value in values if value or value == 0
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Description):
        return value.as_dict(recurse=True)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value


def _unknown(owner: str, name: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches  # only an error needs it

    nearest = get_close_matches(name, known, n=1)
    advice = f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(known)}"
    return f"{owner}() has no option {name!r}: {advice}"
