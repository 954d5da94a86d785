"""The store of a fleet of which some processes still run Kombu 5."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

from dulse.broker.catalogue import queue_group
from dulse.broker.envelope import unpack
from dulse.links.redis.aio.listening import Heard, ListeningLink
from dulse.links.redis.resp import Command, Word
from dulse.links.redis.scripts import Script
from dulse.links.redis.settings import Settings
from dulse.model.records import Group, Guard, Leased, Parts, Peeked, Problem, Put, Swept, Token
from dulse.transports.redis.aio.storage import RedisStorage
from dulse.transports.redis.aio.waiting import Waiting
from dulse.transports.redis.mixed.broadcasts import Broadcast, channel, marked, pattern
from dulse.transports.redis.mixed.broadcasts import heard as broadcast
from dulse.transports.redis.mixed.scripts import ABANDONED, GIVE_BACK, TAKE_IN, TOUCH, mixed
from dulse.transports.redis.mixed.tables import (
    abandoned,
    bound_queues,
    imports,
    is_followed,
    matching,
    members_of,
    speaks_to_all,
)
from dulse.transports.redis.names import SEPARATOR, ready_key
from dulse.transports.redis.priorities import EACH, KOMBUS, Priorities
from dulse.virtual.kombu_envelope import to_kombu, to_record

__all__ = ["MixedStorage"]

_EXCHANGE: Final = "x/"
_TOUCH_EVERY: Final = 600.0
_LOOK_EVERY: Final = 5.0
"""Seconds."""


class MixedStorage(RedisStorage):
    """A RedisStorage of which the ready lists, bindings and leases are Kombu's too; slower than the plain one.

    The steps of `priorities` are Kombu's `priority_steps`; None: those that it has by default. `dead_after` is Kombu's
    `visibility_timeout`, in seconds; with infinity, what its dead processes held is left to Kombu.
    """

    def __init__(self, settings: Settings, priorities: Priorities = EACH, dead_after: float = 3600.0) -> None:
        steps = priorities.steps or KOMBUS
        super().__init__(settings, Priorities(steps, priorities.order))
        self.dead_after = dead_after
        self._look_at = -math.inf
        """When (monotonic) to look next for what dead processes of Kombu held."""
        self._touch_at = monotonic() + _TOUCH_EVERY
        self._scripts = mixed(steps, priorities.order)
        self._waiting = MixedWaiting(settings, steps, self._take_in)
        self._speaks_to_all: dict[str, bool] = {}
        """By exchange, as it was read last: a route to be published by is made of what was read."""

    async def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        """Write all puts, and say to Kombu's processes what is for all who listen at the moment."""
        answer = await super().put(puts, guards, publisher, park, until=until)
        said: list[Command] = []
        for put in puts:
            exchange, routing_key, _, _ = unpack(put.payload)
            if self._speaks_to_all.get(exchange):
                name = channel(self._prefix, self.settings.db, exchange, routing_key)
                said.append(("PUBLISH", name, marked(to_kombu(put.payload))))
        if said:
            await self._link.send(said, until)
        return answer

    async def _take_in(self, said: Broadcast) -> None:
        """Store in our queues what a process of Kombu said to all."""
        name = f"{_EXCHANGE}{said.exchange}"
        values = (await super().read([name]))[name].values
        if speaks_to_all(said.exchange, values) and (queues := bound_queues(values)):
            await self._plain(TAKE_IN, [said.mark, self.priorities.step(said.priority), said.envelope, *queues], None)

    async def _plain(self, script: Script, said: Sequence[Word], until: float | None) -> Any:
        return await self._link.script(script, self._gate, (self._prefix, *said), until)

    def _written(self, puts: Sequence[Put]) -> Sequence[Put]:
        return super()._written([put._replace(payload=to_kombu(put.payload)) for put in puts])

    async def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Take what ours and Kombu's have put."""
        taken, lost = await super().reserve(wants, owner, lease_ms, settle, until=until)
        return [*map(_read, taken)], lost

    async def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take heads that have outlived their time; what Kombu put has none."""
        return [*map(_read, await super().reserve_expired(queue, count, owner, lease_ms, until=until))]

    async def trim(
        self,
        queue: str,
        max_count: int | None,
        max_bytes: int | None,
        owner: str,
        lease_ms: int,
        limit: int = 100,
        *,
        until: float | None = None,
    ) -> Sequence[Leased]:
        """Take heads until the queue is within its limits; bytes of what Kombu put are not counted."""
        return [*map(_read, await super().trim(queue, max_count, max_bytes, owner, lease_ms, limit, until=until))]

    async def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at what comes next, whoever put it."""
        found = await super().peek(queue, count, until=until)
        return [each._replace(payload=to_record(each.payload)) for each in found]

    # ------------------------------------------------------------------------------------------ bindings

    async def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        """Read groups, after what Kombu's processes have bound has become bindings of ours."""
        found = await super().read(groups, parts, until=until)
        changed = False
        for name in groups:
            exchange = name.removeprefix(_EXCHANGE)
            if not exchange or exchange == name:
                continue
            self._speaks_to_all[exchange] = speaks_to_all(exchange, found[name].values)
            if is_followed(exchange, found[name].values):
                changed = await self._follow(exchange, found[name], until) or changed
        return await super().read(groups, parts, until=until) if changed else found

    async def _follow(self, exchange: str, group: Group, until: float | None) -> bool:
        """Follow Kombu's table of an exchange; tells whether anything was changed."""
        members = members_of(await self._link.call("SMEMBERS", self._table(exchange), until=until))
        changes, lacking = imports(exchange, group, members, {})
        if lacking:
            queues = await super().read([queue_group(queue) for queue in lacking], until=until)
            changes, _ = imports(exchange, group, members, queues)
        for expect, writes in changes:
            born = self._born
            await self.change(expect, writes, until=until)
            self._born = born  # it was not our program that declared anything
        return bool(changes)

    def _table(self, exchange: str) -> str:
        return f"{self._prefix}_kombu.binding.{exchange}"

    # ------------------------------------------------------------------------------------- dead processes

    async def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Keep an owner, and at times what Kombu would give back of it."""
        if monotonic() >= self._touch_at:
            self._touch_at = monotonic() + _TOUCH_EVERY
            await self._plain(TOUCH, [owner], until)
        return await super().renew(owner, lease_ms, until=until)

    async def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Make ready what is due, and what processes of Kombu held that are dead for all that can be known."""
        now = monotonic()
        if now >= self._look_at and self.dead_after < math.inf:
            self._look_at = now + min(_LOOK_EVERY, self.dead_after)
            await self._rescue(until)
        swept = await super().sweep(limit, until=until)
        if self.dead_after == math.inf:
            return swept
        due = max(0.0, self._look_at - now)
        return swept._replace(next_due=due if swept.next_due is None else min(due, swept.next_due))

    async def _rescue(self, until: float | None) -> None:
        """Give back by Kombu's rule, to the queues that its tables name for where it had been published."""
        found = await self._plain(ABANDONED, [int(self.dead_after)], until)
        for tag, record in zip(found[::2], found[1::2], strict=True):
            held = abandoned(record)
            if held is None:
                continue
            queues = [held.routing_key]
            if held.exchange:
                members = members_of(await self._link.call("SMEMBERS", self._table(held.exchange), until=until))
                queues = matching(held.routing_key, members)
            if queues:
                lists = [_list(ready_key(self._prefix, queue), self.priorities.step(held.priority)) for queue in queues]
                await self._plain(GIVE_BACK, [tag, held.envelope, *lists], until)


class MixedWaiting(Waiting):
    """Waits on the lists of all steps, as Kombu's publishers tell nobody which they use; and listens to them."""

    def __init__(
        self, settings: Settings, steps: Sequence[int], take_in: Callable[[Broadcast], Awaitable[None]]
    ) -> None:
        super().__init__(settings)
        self._steps = steps
        self._take_in = take_in

    def _new_link(self) -> ListeningLink:
        subscribed = pattern(self._settings.prefix, self._settings.db)
        return ListeningLink(self._settings, greeting=[("PSUBSCRIBE", subscribed)])

    async def _attend(self, heard: Heard) -> None:
        for push in heard.pushes:
            said = broadcast(push, self._settings.prefix, self._settings.db)
            if said is not None:
                await self._take_in(said)

    def _keys_for(self, queue: str) -> tuple[str, ...]:
        ready = ready_key(self._prefix, queue)
        return tuple(_list(ready, step) for step in self._steps)


def _list(ready: str, step: int) -> str:
    return f"{ready}{SEPARATOR}{step}" if step else ready


def _read(leased: Leased) -> Leased:
    return leased._replace(payload=to_record(leased.payload))
