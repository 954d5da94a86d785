"""The Storage contract on Redis: each method is one script, which is one step."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dulse import errors
from dulse.broker.catalogue import exchange_group, queue_group
from dulse.links.redis.aio.link import RedisLink
from dulse.links.redis.resp import Word
from dulse.links.redis.scripts import Script
from dulse.links.redis.settings import Settings
from dulse.model.capabilities import Capabilities
from dulse.model.records import Depth, Group, Guard, Leased, Parts, Peeked, Problem, Put, Revision, Swept, Token
from dulse.transports.redis import answers, scripts, words
from dulse.transports.redis.aio.sizes import ALWAYS_TAKEN, Sizes
from dulse.transports.redis.aio.waiting import Waiting
from dulse.transports.redis.priorities import EACH, Priorities
from dulse.virtual.storage import Move, StaleTopology

__all__ = ["RedisStorage"]

MAX_RECORD: Final = 500_000_000
"""Bytes: Redis takes 512 MB in one word (proto-max-bulk-len)."""

VERSION: Final = 1
"""Of what lies in the keys."""

_STALE: Final = b"stale"
_GONE: Final = b"gone"
_DECLARED: Final = (exchange_group(""), queue_group(""))
"""How groups begin that say what was declared."""
_AT_ONCE: Final = 1000
"""Records given back in one step."""


class RedisStorage:
    """The store of `redis://…`. Any number of processes, threads and tasks may use one server.

    All that it keeps is under keys that begin with the prefix of the settings, and in a cluster on one node.
    """

    capabilities = Capabilities(max_record=MAX_RECORD, late_answers=True, durable="process")

    def __init__(self, settings: Settings, priorities: Priorities = EACH) -> None:
        self.settings = settings
        self.priorities = priorities
        self._scripts = scripts.in_order(priorities.order)
        self._version = b"%d" % VERSION
        self._prefix = settings.prefix
        self._gate = settings.gate
        self._link = RedisLink(settings)
        self._waiting = Waiting(settings)
        self._sizes = Sizes(self._link)
        self._is_open = False
        self._born = b""
        """Since when there are keys in the store, as we know it; where that is not so any more, they were flushed."""
        self._begin()

    def _begin(self) -> None:
        self._publisher = ""
        """Whose numbers the server keeps for as long as the lease is renewed."""
        self._registered: set[str] = set()
        self._reborn: set[str] = set()

    def __repr__(self) -> str:
        return f"<RedisStorage {self.settings}: {'open' if self._is_open else 'closed'}>"

    async def open(self, seconds: float) -> None:
        """Connect, and see that the keys are ones that this release understands."""
        if self._is_open:
            return
        self._link.limit(seconds)
        until = time.monotonic() + seconds
        await self._link.open(until)
        try:
            await self._check_version(until)
        except BaseException:
            await self._link.close(until)
            raise
        self._waiting.open()
        self._is_open = True

    async def _check_version(self, until: float) -> None:
        version, self._born = await self._run(scripts.OPEN, [self._version], until)
        if version != self._version:
            text = (
                f"the keys dulse.* in Redis at {self.settings} are of version {version.decode(errors='replace')[:20]}, "
                f"and this process knows version {self._version.decode()}: upgrade dulse, give the option 'shards' "
                "(it stands behind the slash) as all others do, or give a global_keyprefix"
            )
            raise errors.make(errors.StorageCorrupt, text)

    async def close(self, seconds: float) -> None:
        """Close both connections and end all waits; leases stay."""
        self._is_open = False
        until = time.monotonic() + seconds
        await self._waiting.close(until)
        await self._link.close(until)

    def discard(self) -> None:
        """Be closed in a forked child; the connections are the parent's."""
        self._is_open = False
        self._link.discard()
        self._waiting.discard()
        self._begin()

    async def _run(self, script: Script, said: Sequence[Word], until: float | None) -> Any:
        return await self._link.script(self._scripts[script.name], self._gate, (self._prefix, *said), until)

    # ------------------------------------------------------------------------------------------- records

    async def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        """Write all puts into all their targets. With a publisher it is sent, and `barrier` knows what became of it.

        Only where a guard may have to be told of, and nothing is parked, is the answer waited for.
        """
        puts = self._written(puts)
        if large := [put for put in puts if len(put.payload) > ALWAYS_TAKEN]:
            await self._sizes.check(large, until)
        script, said, targets = self._said(puts, guards, publisher, park)
        if publisher is not None:
            self._publisher = publisher[0]
        if publisher is not None and (park is not None or not guards):
            command = script.command(self._gate, (self._prefix, *said))
            await self._link.send([command], until, scripts=(script,))
            return None
        try:
            answer = await self._run(script, said, until)
        except errors.StorageCorrupt as problem:  # this message shall not hold up others
            raise errors.make(errors.PublishError, str(problem)) from problem
        if answer == _STALE:
            raise StaleTopology(guards)
        if answer == _GONE:
            raise self._gone(guards)
        return () if targets is None else answers.problems(answer, targets)

    def _gone(self, _guards: Sequence[Guard]) -> Exception:
        text = f"the keys of the broker in Redis at {self.settings} were flushed or evicted: declare all again"
        return errors.make(errors.PublishError, text)

    def _said(
        self, puts: Sequence[Put], guards: Sequence[Guard], publisher: tuple[str, int] | None, park: str | None
    ) -> tuple[Script, list[Word], words.Targets | None]:
        """Choose the script that can do it, and say what it is to do."""
        if len(puts) == 1:
            put = puts[0]
            if len(put.targets) == 1:
                target = put.targets[0]
                _, _, _, delay_ms, max_count, max_bytes, _ = target
                if not delay_ms and max_count is None and max_bytes is None:
                    said = words.put_one_words(put, target, guards, publisher, park, self._born)
                    return self._scripts[scripts.PUT_ONE.name], said, None
        said, every = words.put_words(puts, guards, publisher, park, self._born)
        return self._scripts[scripts.PUT.name], said, every

    def _written(self, puts: Sequence[Put]) -> Sequence[Put]:
        """Give puts as they are to be written."""
        return puts if self.priorities.steps is None else [*map(self._stepped, puts)]

    def _stepped(self, put: Put) -> Put:
        return put._replace(targets=[*map(self.priorities.stepped, put.targets)])

    async def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:
        """Tell the last number written of the publisher that put last; all it had put before is decided by then."""
        key = f"{self._prefix}dulse.pub:{self._publisher}"
        number = await self._link.call("GET", key, until=time.monotonic() + seconds)
        return int(number or 0), ()

    async def reserve(
        self,
        wants: Sequence[tuple[str, int]],
        owner: str,
        lease_ms: int,
        settle: Sequence[Token] = (),
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Leased], Sequence[Token]]:
        """Settle, then take and lease. The owner is kept for `lease_ms` less a twentieth, at most 250 ms."""
        said: list[Word] = [owner, lease_ms, *words.token_words(settle), len(wants)]
        for want in wants:
            said += want
        answer = await self._take(scripts.RESERVE, said, owner, until)
        return answers.taken(answer, [queue for queue, _ in wants], b"", 1), answers.lost(answer[2])

    async def _take(self, script: Script, said: Sequence[Word], owner: str, until: float | None) -> Any:
        while (answer := await self._run(script, said, until)) is None:
            await self._give_back_rest(owner, until)
        if not answer[1] and len(answer) > 3:  # noqa: PLR2004 - something was taken, which has registered the owner
            self._register(owner)
        return answer

    async def _give_back_rest(self, owner: str, until: float | None) -> None:
        """End the burial of an owner that had begun before it came back: it begins anew."""
        while await self._run(scripts.FORGET, [owner, _AT_ONCE, b"1"], until):
            pass

    def _register(self, owner: str) -> None:
        """Remember that an owner was new in the store; if it was not new to us, `renew` has to tell."""
        if owner in self._registered:
            self._reborn.add(owner)
        self._registered.add(owner)

    async def reserve_expired(
        self, queue: str, count: int, owner: str, lease_ms: int, *, until: float | None = None
    ) -> Sequence[Leased]:
        """Take and lease heads that have outlived their ttl_ms."""
        answer = await self._take(scripts.RESERVE_EXPIRED, [owner, lease_ms, queue, count], owner, until)
        return answers.taken(answer, [queue], b"-", 0)

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
        if max_count is None and max_bytes is None:
            return ()
        limits: list[Word] = [-1 if each is None else each for each in (max_count, max_bytes)]
        answer = await self._take(scripts.TRIM, [owner, lease_ms, queue, *limits, limit], owner, until)
        return answers.taken(answer, [queue], b"-", 0)

    async def settle(self, tokens: Sequence[Token], owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Delete taken records for good."""
        if not tokens:
            return ()
        return answers.lost(await self._run(scripts.SETTLE, [owner, *words.token_words(tokens)], until))

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
        if not tokens:
            return ()
        said: list[Word] = [owner, delay_ms, b"1" if counted else b"0", *words.token_words(tokens)]
        return answers.lost(await self._run(scripts.RELEASE, said, until))

    async def forward(
        self, token: Token, owner: str, puts: Sequence[Put], guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> bool:
        """Settle a taken record and put others."""
        return not await self.forward_many([(token, puts)], owner, guards, until=until)

    async def forward_many(
        self, moves: Sequence[Move], owner: str, guards: Sequence[Guard] = (), *, until: float | None = None
    ) -> Sequence[Token]:
        """Forward each record, all in one step."""
        if not moves:
            return ()
        written = [(token, self._written(puts)) for token, puts in moves]
        if large := [put for _, puts in written for put in puts if len(put.payload) > ALWAYS_TAKEN]:
            await self._sizes.check(large, until)
        answer = await self._run(scripts.FORWARD, words.forward_words(written, owner, guards), until)
        if answer == _STALE:
            raise StaleTopology(guards)
        return answers.lost(answer)

    # -------------------------------------------------------------------------------------------- owners

    async def renew(self, owner: str, lease_ms: int, *, until: float | None = None) -> bool:
        """Keep an owner; False if this object registered it before and it was forgotten since then."""
        said: list[Word] = [owner, lease_ms]
        if self._publisher:
            said.append(self._publisher)
        while (known := await self._run(scripts.RENEW, said, until)) is None:
            await self._give_back_rest(owner, until)
        if not known:
            self._register(owner)
        if owner in self._reborn:
            self._reborn.discard(owner)
            return False
        return True

    async def held(self, owner: str, *, until: float | None = None) -> Sequence[Token]:
        """Name what an owner holds."""
        return answers.held(await self._run(scripts.HELD, [owner], until))

    async def dead_owners(self, *, until: float | None = None) -> tuple[Mapping[str, float], float | None]:
        """Name the owners past their time."""
        return answers.dead(await self._run(scripts.DEAD, (), until))

    async def forget(self, owner: str, limit: int = 1000, *, force: bool = False, until: float | None = None) -> bool:
        """Give back what an owner holds that is past its time."""
        if force:
            self._registered.discard(owner)
        return bool(await self._run(scripts.FORGET, [owner, limit, b"1" if force else b"0"], until))

    # ---------------------------------------------------------------------------------------------- time

    async def sweep(self, limit: int = 1000, *, until: float | None = None) -> Swept:
        """Make delayed records ready; tell what has expired."""
        return answers.swept(await self._run(scripts.SWEEP, [limit], until))

    async def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues has a ready record."""
        return await self._waiting.wait(queues, seconds)

    def wake(self) -> None:
        """End all running waits; if there is none, the next."""
        self._waiting.wake()

    # ---------------------------------------------------------------------------------------- management

    async def depth(self, queues: Sequence[str], *, until: float | None = None) -> Sequence[Depth]:
        """Count what each queue holds."""
        return answers.depths(await self._run(scripts.DEPTH, queues, until))

    async def peek(self, queue: str, count: int, *, until: float | None = None) -> Sequence[Peeked]:
        """Look at the records that come next."""
        return answers.peeked(await self._run(scripts.PEEK, [queue, count], until))

    async def purge(self, queue: str, *, until: float | None = None) -> int:
        """Delete the ready records of a queue."""
        return int(await self._run(scripts.PURGE, [queue], until))

    # ----------------------------------------------------------------------------------------- catalogue

    async def read(
        self, groups: Sequence[str], parts: Parts | None = None, *, until: float | None = None
    ) -> Mapping[str, Group]:
        """Read groups, and parts of others, as they stand at one moment."""
        others = {name: fields for name, fields in (parts or {}).items() if name not in groups}
        answer = await self._run(scripts.READ, words.group_words(groups, others), until)
        return answers.groups(answer, groups, others)

    async def revisions(self, groups: Sequence[str], *, until: float | None = None) -> Sequence[Revision]:
        """Give the revisions of groups."""
        return [*map(answers.revision, await self._run(scripts.REVISIONS, groups, until))]

    async def groups(self, prefix: str, *, until: float | None = None) -> Mapping[str, tuple[Revision, int]]:
        """Give revision and age (ms) of the groups whose name starts so."""
        return answers.group_list(await self._run(scripts.GROUPS, words.range_words(prefix), until))

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
        """Write values and drop queues, if every group still has the expected revision."""
        said = words.change_words(expect, writes, drop, if_dead, only_empty=only_empty)
        return self._learnt(await self._run(scripts.CHANGE, [*said, self._version], until), writes)

    def _learnt(self, born: bytes | None, writes: Mapping[tuple[str, str], str | None]) -> bool:
        if born and any(value is not None and group.startswith(_DECLARED) for (group, _), value in writes.items()):
            self._born = born  # flushed or not: our program declares what it needs
        return born is not None
