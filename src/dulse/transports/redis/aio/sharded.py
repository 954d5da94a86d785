"""The Storage contract over several slots of a Redis Cluster: each queue on one shard, the topology known to all.

*Authority.* The first shard is home. It keeps the catalogue, as a broker of one shard does, and says which owners
live. All others have a copy of each group's revision, under the same key, so that a guard is checked in the step of
the put. A change is one step at home, by which it is also noted in a journal there: revisions, and queues to drop
elsewhere. It is carried out on all shards, in order and once (each remembers the last number), before it is taken
off. Whoever reads the catalogue reads the journal after it and ends what is there, so nobody knows a topology that
some shard does not: who dies in between leaves work, and no contradiction. A queue elsewhere that is dropped only if
it is empty is sealed first: its copy gets a revision that nobody has.

*Outdated routing.* A guard that fails on a shard is compared with home. Where home agrees with it, the copy is wrong
(a fail-over lost it, it was flushed, a seal was left): the groups get new revisions, which the journal brings to all.
That also makes the one fail who had sealed a queue and not dropped it yet.

*Puts to several shards* go to one after the other: `atomic_put` and `atomic_forward` are not declared, what is
forwarded is put first and settled then. A topology that changes in between may bring a message twice, never lose it.
A publisher has a sequence of numbers on each shard (`sharded.numbering`); a barrier asks those that have not
answered. What is parked lies on the shard that refused it; those queues exist on every shard.

*Owners* are renewed everywhere. Only home declares one dead, as its first step (`condemn`); other shards are forced
then. What a shard holds for an owner that home does not know goes back when the lease there is over.

*A shard that fails* stops what needs it: its queues, and changes of the topology. Sweeps, renewals and takes from
others leave it out for seconds at a time; a take that it spoiled is raised by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

from dulse import errors
from dulse.links.redis.settings import Settings
from dulse.links.waiting.aio import Lock, acquired
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Token
from dulse.transports.redis.aio.authority import Authority
from dulse.transports.redis.aio.putting import Putting
from dulse.transports.redis.aio.shard import Shard
from dulse.transports.redis.aio.storage import RedisStorage
from dulse.transports.redis.aio.watching import Watching
from dulse.transports.redis.priorities import EACH, Priorities
from dulse.transports.redis.sharded.places import Places, prefixes
from dulse.virtual.storage import Move

__all__ = ["ShardedStorage"]


class ShardedStorage:
    """The store of `redis+cluster://…` with the option `shards`, of which there are at least two."""

    capabilities = RedisStorage.capabilities._replace(atomic_put=False, atomic_forward=False)

    def __init__(self, settings: Settings, shards: int, priorities: Priorities = EACH) -> None:
        self.settings = settings
        self.priorities = priorities
        self.count = shards
        places = prefixes(settings.prefix, shards)
        self._shards = [
            Shard(replace(settings, prefix=prefix), number, shards, priorities) for number, prefix in enumerate(places)
        ]
        self._authority = Authority(self._shards)
        self._watching = Watching(self._shards)
        self._opening = Lock()
        self._seconds = settings.timeout
        self._begin()

    def _begin(self) -> None:
        self._places = Places(self.count)
        self._putting = Putting(self._at, self._authority, self._places)
        self._late: dict[int, list[Token]] = {}
        """What was settled and could not be written, by shard."""
        self._owner = ""
        """Whose that is."""
        self._spoiled: Exception | None = None
        """Why nobody knows what the last take has taken."""

    def __repr__(self) -> str:
        return f"<ShardedStorage {self.settings}: {self.count} shards>"

    async def open(self, seconds: float) -> None:
        """Connect to home; to the others where they are there, or later."""
        self._seconds = seconds
        await self._shards[0].open(seconds)
        for shard in self._shards[1:]:
            try:
                await shard.open(seconds)
            except errors.ConnectionError:
                self._authority.rest(shard)
        await self._authority.finish(None)

    async def close(self, seconds: float) -> None:
        """Close all connections and end all waits."""
        until = monotonic() + seconds
        with suppress(errors.OperationalError):  # or it is delivered again
            await self._settle_late(until)
        self._watching.wake()
        for shard in self._shards:
            await shard.close(max(0.0, until - monotonic()))
        await self._watching.close(until)

    def discard(self) -> None:
        """Be closed in a forked child."""
        for shard in self._shards:
            shard.discard()
        self._opening = Lock()
        self._watching.begin()
        self._begin()

    async def _at(self, number: int) -> Shard:
        shard = self._shards[number]
        if not shard.is_open and self._shards[0].is_open and await acquired(self._opening, self._seconds):
            try:
                await shard.open(self._seconds)
            finally:
                self._opening.release()
        return shard

    async def _each(self, tokens: Sequence[Token], call: Callable[[Shard, list[Token]], Any]) -> list[Token]:
        """Do it on each shard that has some of the tokens; all are tried, and the first failure is raised."""
        lost: list[Token] = []
        problem: errors.OperationalError | None = None
        for number, mine in self._places.by_shard(tokens).items():
            try:
                lost += [self._places.outer(number, token) for token in await call(await self._at(number), mine)]
            except errors.OperationalError as failed:
                problem = problem or failed
        if problem is not None:
            raise problem
        return lost

    # --------------------------------------------------------------------------------------------- records

    async def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        """Write on each shard what goes there; each checks the guards for itself."""
        return await self._putting.put(puts, guards, publisher, park, until)

    async def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:
        """Ask the shards that have not answered, and give the last number that all is written of."""
        return await self._putting.barrier(seconds), ()

    async def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Settle and take on one shard after the other. One that fails is left out, and the next call raises why."""
        if self._spoiled is not None:
            problem, self._spoiled = self._spoiled, None
            raise problem
        self._owner = owner
        wanted: dict[int, list[tuple[str, int]]] = {}
        for queue, count in wants:
            for number in self._places.numbers_of(queue):
                wanted.setdefault(number, []).append((queue, count))
        settled = self._places.by_shard(settle)
        numbers = [*dict.fromkeys([*wanted, *settled])]
        taken: list[Leased] = []
        lost: list[Token] = []
        for number in numbers:
            tokens = [*self._late.pop(number, ()), *settled.get(number, ())]
            try:
                if len(numbers) > 1:
                    self._authority.check_awake(self._shards[number])
                self._watching.forget(number)
                shard = await self._at(number)
                found, gone = await shard.reserve(
                    wanted.get(number, ()), owner, lease_ms, tokens, until=self._patience(until, len(numbers))
                )
            except errors.OperationalError as problem:
                if len(numbers) == 1 or isinstance(problem, errors.ConnectionClosed):
                    self._late[number] = tokens[: len(tokens) - len(settled.get(number, ()))]
                    raise
                self._late[number] = tokens
                if not self._authority.is_resting(self._shards[number]):
                    self._authority.rest(self._shards[number])
                    self._spoiled = problem
                continue
            taken += self._places.outer_all(number, found)
            if found and number:
                await self._authority.register(owner, lease_ms, until)
            lost += [self._places.outer(number, token) for token in gone]
        return taken, lost

    def _patience(self, until: float | None, shards: int) -> float | None:
        return until if shards == 1 else self._authority.within(until)

    async def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take and lease heads that have outlived their ttl_ms."""
        number = self._places.shard_of(queue)
        taken = await (await self._at(number)).reserve_expired(queue, count, owner, lease_ms, until=until)
        if taken and number:
            await self._authority.register(owner, lease_ms, until)
        return taken

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
        """Take and lease heads until the queue is within both limits."""
        number = self._places.shard_of(queue)
        taken = await (await self._at(number)).trim(queue, max_count, max_bytes, owner, lease_ms, limit, until=until)
        if taken and number:
            await self._authority.register(owner, lease_ms, until)
        return taken

    async def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Delete taken records for good, also those that a take could not."""
        late, self._late = self._late, {}
        older = [self._places.outer(number, token) for number, each in late.items() for token in each]

        async def call(shard: Shard, mine: list[Token]) -> Sequence[Token]:
            return await shard.settle(mine, owner, until=until)

        try:
            return await self._each([*older, *tokens], call)
        except BaseException:
            for number, each in late.items():
                self._late.setdefault(number, []).extend(each)
            raise

    async def _settle_late(self, until: float | None) -> None:
        if any(self._late.values()):
            await self.settle((), self._owner, until=self._authority.within(until))

    async def release(
        self,
        tokens: Sequence[Token],
        owner: str,
        delay_ms: int = 0,
        *,
        counted: bool = True,
        until: float | None = None,
    ) -> Sequence[Token]:
        """Put taken records back to their old places."""

        async def call(shard: Shard, mine: list[Token]) -> Sequence[Token]:
            return await shard.release(mine, owner, delay_ms, counted=counted, until=until)

        return await self._each(tokens, call)

    async def forward(
        self, token: Token, owner: str, puts: Sequence[Put], guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> bool:
        """Forward on one shard in one step; to others, put and then settle: a death in between leaves both."""
        (number, mine), *_ = self._places.by_shard([token]).items()
        shard = await self._at(number)
        if set(self._places.split(puts)) == {number}:
            return await shard.forward(mine[0], owner, puts, guards, until=until)
        if mine[0] not in await shard.held(owner, until=until):
            return False
        await self.put([put.unlimited() for put in puts], guards, until=until)
        return not await shard.settle(mine, owner, until=until)

    async def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        """Forward each record by itself."""
        return [token for token, puts in moves if not await self.forward(token, owner, puts, guards, until=until)]

    # ---------------------------------------------------------------------------------------------- owners

    async def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Keep an owner, by what home says."""
        return await self._authority.renew(owner, lease_ms, until)

    async def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Name what an owner holds on all shards."""
        found: list[Token] = []
        for number in range(self.count):
            shard = await self._at(number)
            found += [self._places.outer(number, token) for token in await shard.held(owner, until=until)]
        late = {self._places.outer(number, token) for number, each in self._late.items() for token in each}
        return [token for token in found if token not in late]

    async def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        """Name the owners past their time."""
        return await self._authority.dead_owners(until)

    async def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        """Give back what an owner holds that is past its time."""
        return await self._authority.forget(owner, limit, until, force=force)

    # ------------------------------------------------------------------------------------------------ time

    async def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Sweep every shard that answers."""
        with suppress(errors.OperationalError):  # it stays, and is tried again
            await self._settle_late(until)
        promoted: list[str] = []
        expired: list[str] = []
        dues: list[float] = []
        for number, shard in enumerate(self._shards):
            try:
                if number:
                    self._authority.check_awake(shard)
                swept = await (await self._at(number)).sweep(limit, until=self._patience(until, self.count))
            except errors.ConnectionClosed:
                raise
            except errors.OperationalError:
                dues.append(self._authority.rest(shard))
                continue
            promoted += swept.promoted
            expired += swept.expired
            if swept.next_due is not None:
                dues.append(swept.next_due)
        return Swept(promoted, expired, min(dues, default=None))

    async def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues has a ready record."""
        parts: dict[int, list[str]] = {}
        for queue in queues:
            for number in self._places.numbers_of(queue):
                parts.setdefault(number, []).append(queue)
        awake = {each: names for each, names in parts.items() if not self._authority.is_resting(self._shards[each])}
        if len(awake) < len(parts):
            seconds = min(seconds, self._authority.rested_in())
        return await self._watching.wait(awake, seconds)

    def wake(self) -> None:
        """End all running waits; if there is none, the next."""
        self._watching.wake()

    # ------------------------------------------------------------------------------------------ management

    async def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        """Count what each queue holds."""
        found = {queue: Depth(0, 0, 0, 0) for queue in queues}
        for number in range(self.count):
            mine = [queue for queue in found if number in self._places.numbers_of(queue)]
            if mine:
                shard = await self._at(number)
                for queue, depth in zip(mine, await shard.depth(mine, until=until), strict=True):
                    found[queue] = Depth(*map(sum, zip(found[queue], depth, strict=True)))
        return [found[queue] for queue in queues]

    async def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at the records that come next."""
        found: list[Peeked] = []
        for number in self._places.numbers_of(queue):
            found += await (await self._at(number)).peek(queue, count - len(found), until=until)
        return found

    async def purge(self, queue: str, *, until: float | None = None) -> int:
        """Delete the ready records of a queue."""
        return sum(
            [await (await self._at(number)).purge(queue, until=until) for number in self._places.numbers_of(queue)]
        )

    # ------------------------------------------------------------------------------------------- catalogue

    async def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        """Read groups as they stand at one moment."""
        return await self._authority.read(groups, parts, until)

    async def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:
        """Give the revisions of groups."""
        return await self._authority.revisions(groups, until)

    async def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:
        """Give revision and age (ms) of the groups whose name starts so."""
        return await self._authority.groups(prefix, until)

    async def change(
        self,
        expect: Mapping[str, Revision],
        writes: Mapping[tuple[str, str], str | None],
        drop: Sequence[str] = (),
        *,
        only_empty: bool = False,
        if_dead: str | None = None,
        until: float | None = None,
    ) -> bool:
        """Write values and drop queues, at home and then everywhere."""
        return await self._authority.change(expect, writes, drop, if_dead, until, only_empty=only_empty)
