"""Which shard a queue belongs to, and where in the cluster the shards are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

from dulse.links.redis.slots import SLOTS, slot_of, tagged
from dulse.model.records import Leased, Put, Token

__all__ = ["MOST", "PartsOfPuts", "Places", "prefixes", "shard_of"]

PartsOfPuts = dict[int, list[tuple[int, Put]]]
"""By shard: the index of a put, and it with its targets there."""


MOST: Final = 64
"""Shards of one broker."""


@lru_cache(10_000)
def shard_of(queue: str, shards: int) -> int:
    """Give the shard that has a queue: always the same one, for every process."""
    return crc32(queue.encode("utf-8", "surrogatepass")) % shards


def prefixes(prefix: str, shards: int) -> list[str]:
    """Give what the keys of each shard begin with; the first is that of a broker with one shard.

    Slots are dealt to masters in ranges, so each shard has one in a part of its own of them all: as many shards as
    there are masters lie on as many masters.
    """
    first = tagged(prefix)
    before, _, rest = first.partition("{")
    tag, _, after = rest.partition("}")
    part = SLOTS / shards
    home = int(slot_of(first.encode("utf-8", "surrogatepass")) / part)
    found = [first]
    for number in range(1, shards):
        wanted = (home + number) % shards
        attempt = 0
        while True:
            one = f"{before}{{{tag}/{number}.{attempt}}}{after}"
            if int(slot_of(one.encode("utf-8", "surrogatepass")) / part) == wanted:
                break
            attempt += 1
        found.append(one)
    return found


class Places:
    """Where the queues of one broker are, and which queues every shard has."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.parks: set[str] = set()
        """Queues that every shard has: what it refuses waits there."""

    def __repr__(self) -> str:
        return f"<Places on {self.count} shards>"

    def shard_of(self, queue: str) -> int:
        """Give the shard that has a queue."""
        return shard_of(queue, self.count)

    def is_everywhere(self, queue: str) -> bool:
        """Tell whether every shard has a queue of this name."""
        return queue.startswith("dulse.parked.") or queue in self.parks

    def numbers_of(self, queue: str) -> Iterable[int]:
        """Name the shards that have a queue."""
        return range(self.count) if self.is_everywhere(queue) else (self.shard_of(queue),)

    def outer(self, number: int, token: Token) -> Token:
        """Have a token tell its shard where its queue does not."""
        return token if self.shard_of(token[0]) == number else (*token, number)

    def outer_all(self, number: int, taken: Sequence[Leased]) -> Sequence[Leased]:
        """Have the tokens of what a shard gave tell it where that is needed."""
        if not any(self.is_everywhere(leased.queue) for leased in taken):
            return taken
        return [leased._replace(token=self.outer(number, leased.token)) for leased in taken]

    def by_shard(self, tokens: Iterable[Token]) -> dict[int, list[Token]]:
        """Give each shard's tokens, as it knows them."""
        found: dict[int, list[Token]] = {}
        for token in tokens:
            queue, number, *where = token
            found.setdefault(where[0] if where else self.shard_of(queue), []).append((queue, number))
        return found

    def split(self, puts: Sequence[Put], park: str | None = None) -> PartsOfPuts:
        """Give each shard what goes there; what goes nowhere has its guards checked where it would be parked."""
        parts: PartsOfPuts = {}
        nowhere = 0 if park is None else self.shard_of(park)
        for index, put in enumerate(puts):
            mine: dict[int, list[Any]] = {} if put.targets else {nowhere: []}
            for target in put.targets:
                mine.setdefault(self.shard_of(target.queue), []).append(target)
            for number, targets in mine.items():
                whole = len(targets) == len(put.targets)
                parts.setdefault(number, []).append((index, put if whole else put._replace(targets=targets)))
        return parts or {nowhere: []}
