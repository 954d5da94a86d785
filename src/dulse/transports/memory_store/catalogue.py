"""The catalogue of a memory store: groups of values, and the revision that each has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count

from dulse.model.records import Group, Revision

_NOTHING: Mapping[str, str] = {}


class MemoryCatalogue:
    """Not locked: the store holds its lock around every use."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.revisions: dict[str, int] = {}
        """Of the groups that exist; looked into by every put."""
        self._groups: dict[str, tuple[float, dict[str, str]]] = {}
        self._shared: set[str] = set()
        """Groups whose values somebody else has, so that the next change begins with a copy."""
        self._changes = count(1)
        self._now = now

    def __len__(self) -> int:
        return len(self.revisions)

    def read(self, name: str) -> Group:
        """Give a group as it stands; what is given does not change any more."""
        found = self._groups.get(name)
        if found is None:
            return Group(0, 0, _NOTHING)
        self._shared.add(name)
        return Group(self.revisions[name], self._age_ms(found[0]), found[1])

    def part(self, name: str, fields: Iterable[str]) -> Group:
        """Give some values of a group."""
        found = self._groups.get(name)
        if found is None:
            return Group(0, 0, _NOTHING)
        values = found[1]
        known = {field: values[field] for field in fields if field in values}
        return Group(self.revisions[name], self._age_ms(found[0]), known)

    def listed(self, prefix: str) -> dict[str, tuple[Revision, int]]:
        """Give revision and age of the groups whose name starts so."""
        return {
            name: (self.revisions[name], self._age_ms(written))
            for name, (written, _) in self._groups.items()
            if name.startswith(prefix)
        }

    def _age_ms(self, written: float) -> int:
        return int((self._now() - written) * 1000)

    def holds(self, expect: Mapping[str, Revision]) -> bool:
        """Tell whether every group has the revision expected."""
        return all(self.revisions.get(name, 0) == revision for name, revision in expect.items())

    def write(self, writes: Mapping[tuple[str, str], str | None]) -> None:
        """Write values; each group gets a new revision, or ceases to exist if it has no values left."""
        written: dict[str, dict[str, str]] = {}
        for (name, key), value in writes.items():
            values = written.get(name)
            if values is None:
                values = written[name] = self._own(name)
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        for name, values in written.items():
            if values:
                self._groups[name] = (self._now(), values)
                self.revisions[name] = next(self._changes)
            else:
                self._groups.pop(name, None)
                self.revisions.pop(name, None)

    def _own(self, name: str) -> dict[str, str]:
        """Give the values of a group to be changed."""
        _, values = self._groups.get(name, (0, {}))
        if name in self._shared:
            self._shared.remove(name)
            return values.copy()
        return values
