"""A catalogue in memory that carries decisions out as an executor does, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, TypeVar

from dulse.broker.catalogue import Change, Decision, NeedDepth, NeedGroups, Part, View
from dulse.broker.consumers import decide_cancel, decide_consume
from dulse.broker.decisions import decide
from dulse.broker.topology import Indexes, Route, resolve
from dulse.model.commands import Command
from dulse.model.records import Depth, Group

T = TypeVar("T")

EMPTY = Depth(0, 0, 0, 0)


class Catalogue:
    """Groups with revisions, ages by hand, and how much each queue holds."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.depths: dict[str, Depth] = {}
        self.dropped: list[str] = []
        self.changes: list[Change] = []
        self.rounds = 0
        """How often the last operation had to read."""
        self.values_read = 0
        """How many values the last operation had read to it."""
        self.indexes = Indexes()
        self._revisions = count(1)

    def run(self, command: Command, owner: str = "me", unique: str = "u") -> Any:
        """Carry a command out and give the reply."""
        return self.carry_out(lambda view: decide(command, view, owner, unique))

    def consume(self, queue: str, tag: str, owner: str = "me", *, exclusive: bool = False, **arguments: Any) -> Any:
        """Start a consumer; arguments are written with _ for -."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self.carry_out(lambda view: decide_consume(view, queue, tag, owner, exclusive, named))

    def cancel(self, queue: str, tag: str, owner: str = "me") -> Any:
        """End a consumer."""
        return self.carry_out(lambda view: decide_cancel(view, queue, tag, owner))

    def route(self, exchange: str, routing_key: str = "", headers: Mapping[str, Any] | None = None) -> Route:
        """Resolve a message's way."""
        return self.look(lambda view: resolve(view, self.indexes, exchange, routing_key, headers or {}))

    def queues(self, exchange: str, routing_key: str = "", headers: Mapping[str, Any] | None = None) -> list[str]:
        """Give the names of the queues that a message reaches, sorted."""
        return sorted(queue for queue, _ in self.route(exchange, routing_key, headers).queues)

    def look(self, question: Callable[[View], T]) -> T:
        """Ask, and read what the question needs, until it is answered."""
        groups: dict[str, Group] = {}
        parts: dict[str, Part] = {}
        depths: dict[str, Depth] = {}
        self.rounds = self.values_read = 0
        while True:
            try:
                return question(View(groups, depths, parts))
            except NeedGroups as need:
                groups.update((name, self.groups.get(name, Group(0, 0, {}))) for name in need.names)
                parts.update((name, self.part(name, fields)) for name, fields in need.parts.items())
            except NeedDepth as need:
                depths[need.queue] = self.depths.get(need.queue, EMPTY)
            self.rounds += 1
            known = {**groups, **{name: part.group for name, part in parts.items()}}
            self.values_read = sum(len(group.values) for group in known.values())

    def part(self, name: str, fields: frozenset[str]) -> Part:
        """Read some fields of a group."""
        group = self.groups.get(name, Group(0, 0, {}))
        values = {field: value for field, value in group.values.items() if field in fields}
        return Part(group._replace(values=values), fields)

    def carry_out(self, decider: Callable[[View], Decision]) -> Any:
        """Decide, write, and give the reply."""
        decision = self.look(decider)
        if decision.change is not None:
            self.write(decision.change)
        return decision.reply

    def write(self, change: Change) -> None:
        """Do what the store's `change` does."""
        self.changes.append(change)
        written: dict[str, dict[str, str]] = {}
        for (group, name), value in change.writes.items():
            assert group in change.expect, f"{group} was written without its revision"
            values = written.setdefault(group, dict(self.groups.get(group, Group(0, 0, {})).values))
            values.pop(name, None)
            if value is not None:
                values[name] = value
        for group, revision in change.expect.items():
            assert self.groups.get(group, Group(0, 0, {})).revision == revision
        for group, values in written.items():
            self.groups.pop(group, None)
            if values:
                self.groups[group] = Group(next(self._revisions), 0, values)
        for queue in change.drop:
            self.dropped.append(queue)
            self.depths.pop(queue, None)

    def age(self, group: str, milliseconds: int) -> None:
        """Let a group not have been written for so long."""
        self.groups[group] = self.groups[group]._replace(age_ms=milliseconds)
