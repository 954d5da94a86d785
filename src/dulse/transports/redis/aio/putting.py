"""Puts of a broker over several slots: each shard gets what goes there, under a number of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final

from dulse.model.records import Guard, Problem, Put
from dulse.transports.redis.aio.authority import Authority
from dulse.transports.redis.aio.shard import Shard
from dulse.transports.redis.sharded.numbering import Numbering
from dulse.transports.redis.sharded.places import PartsOfPuts, Places
from dulse.virtual.storage import StaleTopology

__all__ = ["Putting"]

_ATTEMPTS: Final = 2


class Putting:
    """What one store puts; `at` gives the shard of a number, connected."""

    def __init__(self, at: Callable[[int], Awaitable[Shard]], authority: Authority, places: Places) -> None:
        self._at = at
        self._authority = authority
        self._places = places
        self._numbering = Numbering()

    def __repr__(self) -> str:
        return f"<Putting, {self._numbering!r}>"

    async def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard],
        publisher: tuple[str, int] | None,
        park: str | None,
        until: float | None,
    ) -> Sequence[Problem] | None:
        """Write on each shard what goes there; each checks the guards for itself."""
        if park is not None:
            self._places.parks.add(park)
        parts = self._places.split(puts, park)
        if len(parts) > 1 and guards and (publisher is None or self._numbering.is_next(*publisher)):
            parts = await self._checked(puts, parts, guards, park, until)
        if publisher is None:
            numbers: Sequence[tuple[int, int]] = [(number, 0) for number in parts]
        else:
            numbers = self._numbering.assign(*publisher, parts)
        is_late = False
        problems: list[Problem] = []
        for number, numbered in numbers:
            part = parts.get(number, ())
            name = None if publisher is None else (publisher[0], numbered)
            answer = await self._put_on(number, part, guards if part else (), name, park, until)
            is_late = is_late or answer is None
            problems += [problem._replace(put=part[problem.put][0]) for problem in answer or ()]
        return None if is_late else problems

    async def _checked(
        self, puts: Sequence[Put], parts: PartsOfPuts, guards: Sequence[Guard], park: str | None, until: float | None
    ) -> PartsOfPuts:
        """Have what is outdated already parked whole, and once, or refused before any of it is written."""
        if await self._authority.agrees(guards, until):
            return parts
        if park is None:
            raise StaleTopology(guards)
        empty: PartsOfPuts = {number: [] for number in parts}
        return {**empty, next(iter(parts)): [*enumerate(puts)]}

    async def _put_on(
        self,
        number: int,
        part: Sequence[tuple[int, Put]],
        guards: Sequence[Guard],
        publisher: tuple[str, int] | None,
        park: str | None,
        until: float | None,
    ) -> Sequence[Problem] | None:
        shard = await self._at(number)
        puts = [put for _, put in part]
        for attempt in range(_ATTEMPTS):
            try:
                return await shard.put(puts, guards, publisher, park, until=until)
            except StaleTopology:
                await self._authority.repair(shard, guards, until)
                if park is None or attempt:
                    raise
        raise StaleTopology(guards)

    async def barrier(self, seconds: float) -> int:
        """Ask the shards that have not answered, and give the last number that all is written of."""
        until = monotonic() + seconds
        written = {}
        for number in self._numbering.asked():
            shard = await self._at(number)
            written[number], _ = await shard.barrier(max(0.0, until - monotonic()))
        return self._numbering.heard(written)
