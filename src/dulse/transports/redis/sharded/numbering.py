"""One sequence of puts as each shard sees it: the numbers there that a publisher's number stands for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Numbering"]

Parts = Sequence[tuple[int, int]]
"""Shard, and the number of the put there."""


class Numbering:
    """What one publisher has sent and not been answered; the caller serializes."""

    def __init__(self) -> None:
        self._begin("")

    def __repr__(self) -> str:
        return f"<Numbering of {self._name!r}: {len(self._sent)} unanswered after {self._answered}>"

    def _begin(self, name: str) -> None:
        self._name = name
        self._sent: deque[Parts] = deque()
        self._answered = 0
        self._last: dict[int, int] = {}
        self._written: dict[int, int] = {}

    def is_next(self, name: str, number: int) -> bool:
        """Tell whether a number was never sent, and is the next one."""
        return number == self._answered + len(self._sent) + 1 if name == self._name else number == 1

    def assign(self, name: str, number: int, shards: Iterable[int]) -> Parts:
        """Give what a put is called on each of its shards: what it was called before if it is sent again.

        Nothing for a number that is written already, or is not the next one.
        """
        if name != self._name:
            self._begin(name)
        index = number - self._answered - 1
        if 0 <= index < len(self._sent):
            return self._sent[index]
        if index != len(self._sent):
            return ()
        parts = []
        for shard in shards:
            self._last[shard] = self._last.get(shard, 0) + 1
            parts.append((shard, self._last[shard]))
        self._sent.append(parts)
        return parts

    def asked(self) -> list[int]:
        """Name the shards that have to tell how far they are."""
        return sorted({shard for parts in self._sent for shard, _ in parts})

    def heard(self, written: Mapping[int, int]) -> int:
        """Take what shards have written; gives the last number that all of it is written of.

        Where a shard has lost what it had confirmed, that is one that was answered before.
        """
        if any(number < self._written.get(shard, 0) for shard, number in written.items()):
            return max(0, self._answered - 1)
        self._written.update(written)
        while self._sent and all(number <= self._written.get(shard, 0) for shard, number in self._sent[0]):
            self._sent.popleft()
            self._answered += 1
        return self._answered
