"""The topology and the owners of a broker over several slots: what home says, and how the other shards learn of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

from dulse import errors
from dulse.broker.catalogue import queue_group
from dulse.model.records import Group, Guard, Parts, Revision
from dulse.transports.redis.aio.shard import Shard
from dulse.transports.redis.sharded.places import shard_of

__all__ = ["Authority"]

_ALIVE: Final = 1
_REST: Final = 2.0
"""Seconds for which a shard that did not answer is left alone by what can do without it."""
_PATIENCE: Final = 2.0
"""Seconds that such work waits for an answer."""


class Authority:
    """Home decides; a change that it has noted is carried out everywhere before anybody is told of it."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self._home = shards[0]
        self._others = shards[1:]
        self._resting: dict[int, float] = {}
        self._kept: dict[str, float] = {}
        """Until when home keeps the owner that was renewed last."""
        self._died: set[str] = set()
        """Owners of which the next renewal has to tell that they were dead."""

    def __repr__(self) -> str:
        return f"<Authority over {len(self._shards)} shards>"

    # ------------------------------------------------------------------------------------ shards that fail

    def is_resting(self, shard: Shard) -> bool:
        """Tell whether a shard did not answer a moment ago."""
        return monotonic() < self._resting.get(shard.number, 0.0)

    def check_awake(self, shard: Shard) -> None:
        """Raise StorageBusy for a shard that did not answer a moment ago."""
        if self.is_resting(shard):
            text = f"the shard with the keys {shard.settings.prefix}* did not answer a moment ago: try again in a while"
            raise errors.make(errors.StorageBusy, text)

    def rest(self, shard: Shard) -> float:
        """Leave a shard alone for a while; gives the seconds until it, or another that rests, is asked again."""
        if not self.is_resting(shard):
            self._resting[shard.number] = monotonic() + _REST
        return self.rested_in()

    def rested_in(self) -> float:
        """Seconds until the first of those that rest is asked again."""
        now = monotonic()
        return min((each - now for each in self._resting.values() if each > now), default=_REST)

    def within(self, until: float | None) -> float:
        """Give when work has to end that can be done later as well."""
        soon = monotonic() + _PATIENCE
        return soon if until is None else min(until, soon)

    # ------------------------------------------------------------------------------------------- catalogue

    async def read(self, groups: Sequence[str], parts: Parts | None, until: float | None) -> Mapping[str, Group]:
        """Read groups; all shards know by then what is read."""
        found = await self._home.read(groups, parts, until=until)
        await self.finish(until)
        return found

    async def revisions(self, groups: Sequence[str], until: float | None) -> Sequence[Revision]:
        """Read revisions; all shards know them by then."""
        found = await self._home.revisions(groups, until=until)
        await self.finish(until)
        return found

    async def groups(self, prefix: str, until: float | None) -> Mapping[str, tuple[Revision, int]]:
        """List groups; all shards know them by then."""
        found = await self._home.groups(prefix, until=until)
        await self.finish(until)
        return found

    async def change(
        self,
        expect: Mapping[str, Revision],
        writes: Mapping[tuple[str, str], str | None],
        drop: Sequence[str],
        if_dead: str | None,
        until: float | None,
        *,
        only_empty: bool,
    ) -> bool:
        """Change the catalogue: decided at home, true when every shard knows."""
        count = len(self._shards)
        here = [queue for queue in drop if not shard_of(queue, count)]
        there = [queue for queue in drop if shard_of(queue, count)]
        sealed: list[str] = []
        if only_empty and there:
            await self.finish(until)  # an older entry of the journal would take the seal off
            for queue in there:
                sealed.append(queue_group(queue))
                if not await self._shards[shard_of(queue, count)].seal(queue, until):
                    await self._unseal(sealed[:-1], until)
                    return False
        done = await self._home.commit(expect, writes, (here, there), if_dead, until, only_empty=only_empty)
        if not done:
            await self._unseal(sealed, until)
        elif writes or there:
            await self.finish(until)
        return done

    async def _unseal(self, groups: Sequence[str], until: float | None) -> None:
        if groups:
            await self._home.mend(groups, until)
            await self.finish(until)

    async def finish(self, until: float | None) -> None:
        """Have all shards know what home has noted, whoever was to tell them."""
        while entries := await self._home.journal(until):
            for shard in self._others:
                await shard.apply(entries, until)
            await self._home.applied(entries[-1], until)

    async def repair(self, shard: Shard, guards: Sequence[Guard], until: float | None) -> None:
        """See why guards did not hold on a shard: if home agrees with them, the shard's copies are wrong."""
        if shard is self._home:
            return
        if shard.was_flushed:
            await shard.learn(monotonic() + _PATIENCE if until is None else until)
        if await self._home.journal(until):
            await self.finish(until)
            return
        if await self.agrees(guards, until):
            await self._home.mend([guard.group for guard in guards], until)
            await self.finish(until)

    async def agrees(self, guards: Sequence[Guard], until: float | None) -> bool:
        """Tell whether guards hold at home."""
        revisions = await self.revisions([guard.group for guard in guards], until)
        return all(guard.revision == revision for guard, revision in zip(guards, revisions, strict=True))

    # ---------------------------------------------------------------------------------------------- owners

    async def register(self, owner: str, lease_ms: int, until: float | None) -> None:
        """Have home know an owner that has taken something elsewhere, unless it surely does."""
        if self._kept.get(owner, 0.0) < monotonic() + 0.75 * lease_ms / 1000 and not await self._keep(
            owner, lease_ms, until
        ):
            self._died.add(owner)

    async def _keep(self, owner: str, lease_ms: int, until: float | None) -> bool:
        ends = monotonic() + lease_ms / 1000
        known = await self._home.renew(owner, lease_ms, until=until)
        self._kept = {owner: ends}
        return known

    async def renew(self, owner: str, lease_ms: int, until: float | None) -> bool:
        """Keep an owner. Home decides whether it lives; a shard that does not answer is told the next time."""
        known = await self._keep(owner, lease_ms, until) and owner not in self._died
        self._died.discard(owner)
        for shard in self._others:
            if self.is_resting(shard):
                continue
            try:
                if not known:
                    while await shard.forget(owner, force=True, until=self.within(until)):
                        pass
                known = await shard.renew(owner, lease_ms, until=self.within(until)) and known
            except errors.OperationalError:
                self.rest(shard)
        return known

    async def dead_owners(self, until: float | None) -> tuple[Mapping[str, float], float | None]:
        """Name whom home knows as dead, and those it does not know that are past their time elsewhere."""
        dead, due = await self._home.dead_owners(until=until)
        strangers: dict[str, float] = {}
        for shard in self._others:
            if self.is_resting(shard):
                continue
            try:
                found, _ = await shard.dead_owners(until=self.within(until))
            except errors.OperationalError:
                self.rest(shard)
                continue
            strangers.update(found)
        names = [owner for owner in strangers if owner not in dead]
        known = await self._home.known(names, until)
        return {**{name: strangers[name] for name in names if name not in known}, **dead}, due

    async def forget(self, owner: str, limit: int, until: float | None, *, force: bool) -> bool:
        """Give back what an owner holds. Condemned at home first, it cannot come back to life meanwhile."""
        state = await self._home.condemn(owner, until, force=force)
        if state == _ALIVE:
            return False
        self._kept.pop(owner, None)
        for shard in self._others:
            try:
                if await shard.forget(owner, limit, force=force or bool(state), until=until):
                    return True
            except errors.OperationalError:
                self.rest(shard)  # to others, what it has there is that of a stranger
        return await self._home.forget(owner, limit, force=force, until=until)
