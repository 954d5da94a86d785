"""The catalogue as a decision sees it, and the change of it that a decision makes.

::

    x/<exchange>   ""                                    what was declared (not for the exchanges that always exist)
                   ["queue"|"exchange", name, key, args] a binding from here
                   ["from", exchange, key, args]         the other end of a binding to here
    q/<queue>      ""                                    what was declared
                   ["from", exchange, key, args]         the other end of a binding to here
    c/<queue>      [owner, tag]                          a consumer
    o/<owner>      ["consumer", queue, tag]              what this owner consumes
                   ["queue", name]                       what it holds exclusively
    e/<queue>      ""                                    x-expires; the group's age is how long the queue was not used

Decisions are pure: they look at groups that were read before and ask, by raising `NeedGroups` or `NeedDepth`, for
what is missing; whoever carries them out reads it and decides again from the start. A group may have tens of thousands
of bindings, so that what needs a few fields of one asks for these alone. The change is then written under
the condition that every group the decision looked at still has the revision it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dulse.model.records import Depth, Group, Guard, Parts, Revision

DEFINITION = ""
"""The field of a group that holds what was declared."""

DEFINED = frozenset((DEFINITION,))
"""The fields to ask for where it counts only what was declared."""


def exchange_group(exchange: str) -> str:
    """Name the group of an exchange."""
    return "x/" + exchange


def queue_group(queue: str) -> str:
    """Name the group of a queue."""
    return "q/" + queue


def consumers_group(queue: str) -> str:
    """Name the group of a queue's consumers."""
    return "c/" + queue


def owner_group(owner: str) -> str:
    """Name the group of what an owner holds."""
    return "o/" + owner


def expiry_group(queue: str) -> str:
    """Name the group whose age tells for how long a queue has not been used."""
    return "e/" + queue


class NeedGroups(Exception):
    """A decision needs these groups of the catalogue: a request to whoever carries it out, not an error.

    `names` are needed whole, and of those in `parts` the fields said there, all at one moment.
    """

    def __init__(self, names: frozenset[str], parts: Parts | None = None) -> None:
        self.names = names
        self.parts = parts or {}
        super().__init__(", ".join(sorted({*names, *self.parts})))


class NeedDepth(Exception):
    """A decision needs to know how much this queue holds: likewise a request."""

    def __init__(self, queue: str) -> None:
        super().__init__(queue)
        self.queue = queue


class Part(NamedTuple):
    """Some fields of a group as they were read."""

    group: Group
    fields: frozenset[str]
    """Those that were asked for, whether they have a value or not."""


class Change(NamedTuple):
    """The arguments of the store's `change`."""

    expect: Mapping[str, Revision]
    writes: Mapping[tuple[str, str], str | None]
    drop: tuple[str, ...] = ()
    only_empty: bool = False


class Decision(NamedTuple):
    """What to write (None: nothing) and what to answer once it is written."""

    change: Change | None
    reply: Any = None


class View:
    """The groups and depths that were read so far; remembers which of them a decision looked at.

    Start each operation with an empty view and read what is asked for: a route relies on the group of an exchange
    having been read before those of its queues.
    """

    def __init__(
        self,
        groups: Mapping[str, Group] | None = None,
        depths: Mapping[str, Depth] | None = None,
        parts: Mapping[str, Part] | None = None,
    ) -> None:
        self._groups = groups if groups is not None else {}
        self._depths = depths if depths is not None else {}
        self._parts = parts if parts is not None else {}
        self.looked_at: dict[str, Revision] = {}

    def __repr__(self) -> str:
        return f"<View of {len(self._groups)} groups, {len(self._parts)} parts and {len(self._depths)} depths>"

    def require(self, names: Iterable[str], parts: Parts | None = None) -> None:
        """Ask for all of these groups, and parts of groups, at once, if any of them was not read yet."""
        missing = frozenset(name for name in names if name not in self._groups)
        lacking = {
            name: fields | self._known(name)
            for name, fields in (parts or {}).items()
            if name not in self._groups and name not in missing and not fields <= self._known(name)
        }
        if missing or lacking:
            raise NeedGroups(missing, lacking)

    def _known(self, name: str) -> frozenset[str]:
        part = self._parts.get(name)
        return frozenset() if part is None else part.fields

    def group(self, name: str) -> Group:
        """Give a group; one that does not exist has revision 0 and no values."""
        group = self._groups.get(name)
        if group is None:
            raise NeedGroups(frozenset((name,)))
        self.looked_at[name] = group.revision
        return group

    def part(self, name: str, fields: frozenset[str] = DEFINED) -> Group:
        """Give a group of which only these fields count; there may be others in it, and others may be left out."""
        group = self._part(name, fields)
        self.looked_at[name] = group.revision
        return group

    def peek(self, name: str, fields: frozenset[str] = DEFINED) -> Mapping[str, str]:
        """Give the values of a group on which the decision does not depend, as another one changes with it."""
        return self._part(name, fields).values

    def _part(self, name: str, fields: frozenset[str]) -> Group:
        group = self._groups.get(name)
        if group is None:
            self.require((), {name: fields})
            group = self._parts[name].group
        return group

    def depth(self, queue: str) -> Depth:
        """Give how much a queue holds."""
        depth = self._depths.get(queue)
        if depth is None:
            raise NeedDepth(queue)
        return depth

    def guards(self) -> tuple[Guard, ...]:
        """Give every group looked at with its revision."""
        return tuple(Guard(name, revision) for name, revision in self.looked_at.items())


class Draft:
    """A change in the making: a view with what the decision has written so far laid over it."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._writes: dict[str, dict[str, str | None]] = {}
        self._drop: list[str] = []

    def __repr__(self) -> str:
        return f"<Draft of {sum(map(len, self._writes.values()))} writes>"

    def require(self, names: Iterable[str], parts: Parts | None = None) -> None:
        """Ask for all of these at once, if any of them was not read yet."""
        self.view.require(names, parts)

    def holds(self, group: str, name: str) -> bool:
        """Tell whether a group will have this field after this change."""
        writes = self._writes.get(group, {})
        if name in writes:
            return writes[name] is not None
        return name in self.view.part(group, frozenset((name,))).values

    def values(self, group: str) -> Mapping[str, str]:
        """Give a group's values as they will be after this change."""
        before = self.view.group(group).values
        writes = self._writes.get(group)
        if not writes:
            return before
        after = {name: value for name, value in before.items() if name not in writes}
        after.update((name, value) for name, value in writes.items() if value is not None)
        return after

    def write(self, group: str, name: str, value: str) -> None:
        """Set one value of a group."""
        self.view.part(group, frozenset((name,)))
        self._writes.setdefault(group, {})[name] = value

    def delete(self, group: str, name: str) -> bool:
        """Take one value away; False: there is none."""
        known = self.holds(group, name)
        if known:
            self._writes.setdefault(group, {})[name] = None
        return known

    def clear(self, group: str) -> None:
        """Take all values of a group away, and so the group."""
        self._writes[group] = dict.fromkeys(self.view.group(group).values)

    def drop(self, queue: str) -> None:
        """Let the records of a queue go with this change."""
        self._drop.append(queue)

    def decision(self, reply: Any = None, *, only_empty: bool = False) -> Decision:
        """Give the decision to make this change; nothing written means no change."""
        writes = {(group, name): value for group, values in self._writes.items() for name, value in values.items()}
        if not writes and not self._drop:
            return Decision(None, reply)
        return Decision(Change(dict(self.view.looked_at), writes, tuple(self._drop), only_empty), reply)
