"""Which shard a queue belongs to, and where in the cluster the shards are."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from zlib import crc32

from dulse.links.redis.slots import SLOTS, slot_of, tagged

__all__ = ["MOST", "prefixes", "shard_of"]

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
