"""Carries out what `dulse.broker` decides about exchanges, queues and consumers on a store's catalogue."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from dulse import errors
from dulse.broker.catalogue import (
    DEFINED,
    DEFINITION,
    Decision,
    NeedDepth,
    NeedGroups,
    Part,
    View,
    expiry_group,
    queue_group,
)
from dulse.broker.definitions import read_queue
from dulse.broker.queues import check_access, decide_expiry, decide_touch
from dulse.broker.rules import QueueRules
from dulse.broker.topology import Indexes, Route, resolve
from dulse.links.waiting.aio import Signal
from dulse.model.records import Depth, Group, Parts
from dulse.virtual.storage import AsyncStorage

T = TypeVar("T")

GROUPS = 100_000
"""Groups remembered for routing; beyond that we begin anew."""

ATTEMPTS = 200
"""Lost races against other processes before anything here gives up: each means that somebody else got on."""

MOMENT = 1.0
"""Seconds for which an end waits for changes that are under way."""


class Catalogue:
    """The topology in a store, read and changed by compare-and-set.

    It remembers only what routing has read: guards tell when that is outdated, and then all of it is forgotten, since a
    queue that was read before the exchange that leads to it may have been declared anew in between.
    """

    def __init__(self, storage: AsyncStorage) -> None:
        self._storage = storage
        self._indexes = Indexes()
        self._seen = _Known()
        self._under_way: set[object] = set()
        self._rested = Signal()
        self._is_ended = False

    async def carry_out(self, decide: Callable[[View], Decision], until: float | None = None) -> Any:
        """Decide on what the store holds, write the decision, begin anew if it changed meanwhile; gives the reply.

        Queues that are looked at and overdue (x-expires) are deleted first: nobody can tell when the keeper last ran.
        """
        call = object()
        self._under_way.add(call)
        try:
            if self._is_ended:
                raise errors.make(errors.ConnectionClosed, "the connection is being closed: open another")
            return await self._carry_out(decide, self._expire_overdue, until)
        finally:
            self._under_way.discard(call)
            if self._is_ended:
                self._rested.notify()

    async def end(self, last: Callable[[View], Decision], until: float) -> None:
        """Carry out what ends an owner, when all that others have begun is done, and refuse what comes later.

        Waits a moment for the others: one of them may be the caller, below a signal's handler.
        """
        self._is_ended = True
        limit = min(until, time.monotonic() + MOMENT)
        while True:
            seen = self._rested.ticket()
            left = limit - time.monotonic()
            if not self._under_way or left <= 0:
                break
            await self._rested.wait(left, seen)
        await self._carry_out(last, self._expire_overdue, until)

    async def route(
        self, exchange: str, routing_key: str, headers: Mapping[str, Any], until: float | None = None
    ) -> Route:
        """Find the queues that a message reaches, and the guards that tell whether this is still so."""

        def decide(view: View) -> Route:
            return resolve(view, self._indexes, exchange, routing_key, headers)

        if 0 < len(self._seen) < GROUPS:
            with suppress(errors.ChannelError):  # what we remember may be why: look again
                return await self._informed(decide, self._expire_overdue, until, self._seen)
        self._seen = _Known()
        return await self._informed(decide, self._expire_overdue, until, self._seen)

    def forget_routing(self) -> None:
        """Read anew what routing depends on: a guard did not hold."""
        self._seen = _Known()

    async def use(self, queue: str, owner: str, method: str, until: float | None = None) -> QueueRules:
        """Check that an owner may use a queue, and note that it does; gives its rules. NotFound, ResourceLocked."""

        def decide(view: View) -> Decision:
            view.require((expiry_group(queue),), {queue_group(queue): DEFINED})
            rules = check_access(view, queue, owner, method)
            if rules.expires_ms is None or view.group(expiry_group(queue)).age_ms * 4 < rules.expires_ms:
                return Decision(None, rules)
            return Decision(decide_touch(view, queue).change, rules)

        rules: QueueRules = await self.carry_out(decide, until)
        return rules

    async def rules(self, queue: str, until: float | None = None) -> QueueRules | None:
        """Give the rules of a queue, whoever it belongs to; None: there is no such queue."""

        def look(view: View) -> QueueRules | None:
            definition = read_queue(view.part(queue_group(queue)).values)
            return None if definition is None else definition.rules

        return await self._informed(look, _leave, until)

    async def expire(self, queue: str, until: float | None = None) -> None:
        """Delete a queue if nobody has used it for as long as it said."""
        await self._carry_out(partial(decide_expiry, queue=queue), _leave, until)

    async def carry_out_if_dead(
        self, decide: Callable[[View], Decision], owner: str, until: float | None = None
    ) -> bool:
        """Carry out what ends with an owner's death, unless it proves to be alive; tells whether it was done."""
        for _ in range(ATTEMPTS):
            change = (await self._informed(decide, _leave, until)).change
            if change is None or await self._storage.change(
                *change[:3], only_empty=change.only_empty, if_dead=owner, until=until
            ):
                return True
            if owner not in (await self._storage.dead_owners(until=until))[0]:
                return False
        return False

    async def _carry_out(self, decide: Callable[[View], Decision], before: _Before, until: float | None) -> Any:
        for _ in range(ATTEMPTS):
            decision = await self._informed(decide, before, until)
            change = decision.change
            if change is None:
                return decision.reply
            if await self._storage.change(*change[:3], only_empty=change.only_empty, until=until):
                return decision.reply
        text = f"the topology was changed by others {ATTEMPTS} times in a row while we tried to change it: try again"
        raise errors.make(errors.StorageBusy, text)

    async def _informed(
        self,
        decide: Callable[[View], T],
        before: _Before,
        until: float | None,
        remembered: _Known | None = None,
    ) -> T:
        """Call `decide` with ever more of the catalogue read, until it has all it asks for.

        Groups that exist are added to those `remembered`.
        """
        lasting = _Known() if remembered is None else remembered
        missing = _Known()
        depths: dict[str, Depth] = {}
        while True:
            try:
                return decide(lasting.view(missing, depths))
            except NeedGroups as need:
                names, parts = need.names, need.parts
                found = await self._storage.read(sorted(names), parts, until=until)
                if await before(found, until):
                    names, parts = lasting.with_all(missing.with_all((names, parts)))
                    found = await self._storage.read(sorted(names), parts, until=until)
                    missing.clear()
                    lasting.clear()
                for name, group in found.items():
                    here, there = (lasting, missing) if group.revision else (missing, lasting)
                    here.add(name, group, parts.get(name))
                    there.drop(name)
            except NeedDepth as need:
                (depths[need.queue],) = await self._storage.depth([need.queue], until=until)

    async def _expire_overdue(self, found: Mapping[str, Group], until: float | None) -> bool:
        overdue = list(_overdue(found))
        for queue in overdue:
            await self.expire(queue, until)
        return bool(overdue)


class _Known:
    """Groups that were read, and parts of others."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._parts: dict[str, Part] = {}

    def __len__(self) -> int:
        return len(self._groups) + len(self._parts)

    def add(self, name: str, group: Group, fields: frozenset[str] | None) -> None:
        """Know a group, or of it only these fields."""
        if fields is None:
            self._groups[name] = group
        else:
            self._parts[name] = Part(group, fields)

    def drop(self, name: str) -> None:
        """Know nothing of a group."""
        self._groups.pop(name, None)
        self._parts.pop(name, None)

    def clear(self) -> None:
        """Know nothing."""
        self._groups.clear()
        self._parts.clear()

    def with_all(self, more: tuple[Iterable[str], Parts]) -> tuple[frozenset[str], Parts]:
        """Give the names of all that is known here, and some more, to read it again."""
        parts = {name: part.fields for name, part in self._parts.items()}
        return frozenset({*self._groups, *more[0]}), {**parts, **more[1]}

    def view(self, missing: _Known, depths: Mapping[str, Depth]) -> View:
        """Show what is known, and that other groups do not exist."""
        if not missing:
            return View(self._groups, depths, self._parts)
        return View(ChainMap(self._groups, missing._groups), depths, ChainMap(self._parts, missing._parts))


_Before = Callable[[Mapping[str, Group], float | None], Any]
"""What is done about groups that were read, before a decision sees them; True: they have changed by that."""


async def _leave(_found: Mapping[str, Group], _until: float | None) -> bool:
    return False


def _overdue(found: Mapping[str, Group]) -> Iterable[str]:
    prefix = expiry_group("")
    for name, group in found.items():
        if name.startswith(prefix) and group.age_ms >= int(group.values.get(DEFINITION, group.age_ms + 1)):
            yield name.removeprefix(prefix)
