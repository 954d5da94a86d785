"""One shard of a broker over several slots: a store of its own, with copies of the revisions that home keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dulse.broker.catalogue import queue_group
from dulse.links.redis.settings import Settings
from dulse.model.records import Guard, Revision
from dulse.transports.redis import scripts, words
from dulse.transports.redis.aio.storage import VERSION, RedisStorage
from dulse.transports.redis.priorities import EACH, Priorities
from dulse.virtual.storage import StaleTopology

__all__ = ["Shard"]

_ENTRIES = 100
"""Of the journal, carried out in one go."""


class Shard(RedisStorage):
    """The first shard is home: it has the catalogue, says which owners live, and keeps the journal of changes."""

    def __init__(self, settings: Settings, number: int, shards: int, priorities: Priorities = EACH) -> None:
        super().__init__(settings, priorities)
        self.number = number
        self.was_flushed = False
        self._version = b"%d/%d" % (VERSION, shards)

    @property
    def is_open(self) -> bool:
        """Tell whether it was opened."""
        return self._is_open

    def _gone(self, guards: Sequence[Guard]) -> Exception:
        if not self.number:
            return super()._gone(guards)
        self.was_flushed = True
        return StaleTopology(guards)  # the copies are gone, and can be written again

    async def learn(self, until: float) -> None:
        """Take it that the keys are new."""
        await self._check_version(until)
        self.was_flushed = False

    # ----------------------------------------------------------------------------------- what home does

    async def commit(
        self,
        expect: Mapping[str, Revision],
        writes: Mapping[tuple[str, str], str | None],
        drops: tuple[Sequence[str], Sequence[str]],
        if_dead: str | None,
        until: float | None,
        *,
        only_empty: bool,
    ) -> bool:
        """Change the catalogue, drop queues here, and note what others have to do; `drops`: here, there."""
        here, there = drops
        said = words.change_words(expect, writes, here, if_dead, only_empty=only_empty)
        said += [self._version, len(there), *there]
        return self._learnt(await self._run(scripts.CHANGE, said, until), writes)

    async def journal(self, until: float | None) -> Sequence[bytes]:
        """Give the changes that not all shards may know, the oldest first."""
        found: list[bytes] = await self._link.call(
            "LRANGE", f"{self._prefix}dulse.journal", 0, _ENTRIES - 1, until=until
        )
        return found

    async def applied(self, entry: bytes, until: float | None) -> None:
        """Forget the journal up to this entry."""
        await self._run(scripts.APPLIED, [entry.partition(b":")[0]], until)

    async def mend(self, groups: Sequence[str], until: float | None) -> None:
        """Give groups new revisions, which the journal tells to all shards."""
        await self._run(scripts.MEND, groups, until)

    async def condemn(self, owner: str, until: float | None, *, force: bool) -> int:
        """Declare an owner dead for good; 0: it is unknown, 1: it lives."""
        return int(await self._run(scripts.CONDEMN, [owner, b"1" if force else b"0"], until))

    async def known(self, owners: Sequence[str], until: float | None) -> set[str]:
        """Name those of these owners that are in our books."""
        if not owners:
            return set()
        scores: list[Any] = await self._link.call("ZMSCORE", f"{self._prefix}dulse.owners", *owners, until=until)
        return {owner for owner, score in zip(owners, scores, strict=True) if score is not None}

    # ------------------------------------------------------------------------------- what the others do

    async def apply(self, entries: Sequence[bytes], until: float | None) -> None:
        """Do what the journal tells, once and in its order."""
        await self._run(scripts.APPLY, entries, until)

    async def seal(self, queue: str, until: float | None) -> bool:
        """Refuse from now on what is routed to an empty queue; False: it has records."""
        return bool(await self._run(scripts.SEAL, [queue, queue_group(queue)], until))
