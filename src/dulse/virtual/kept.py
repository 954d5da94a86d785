"""What was taken from a store by calls that nobody awaited to their end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from dulse.model.records import Leased, Token


class Kept:
    """What cancelled calls have taken, by owner, until it is asked for again. Used from several threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._leased: dict[str, list[Leased]] = {}
        self._lost: dict[str, list[Token]] = {}

    def __repr__(self) -> str:
        return f"<Kept: {sum(map(len, self._leased.values()))} records>"

    def add(self, owner: str, answer: tuple[Sequence[Leased], Sequence[Token]], *, older: bool = False) -> None:
        """Keep an answer of `reserve` that nobody got, in front of the others if it is `older`."""
        with self._mutex:
            leased, lost = answer
            if leased:
                kept = self._leased.setdefault(owner, [])
                kept[:] = [*leased, *kept] if older else [*kept, *leased]
            if lost:
                self._lost.setdefault(owner, []).extend(lost)

    def take(
        self, owner: str, wants: Sequence[tuple[str, int]]
    ) -> tuple[list[Leased], list[Token], list[tuple[str, int]]]:
        """Give of an owner's records what is wanted, the tokens he lost, and what is wanted beyond that."""
        with self._mutex:
            lost = self._lost.pop(owner, [])
            kept = self._leased.pop(owner, [])
            if not kept:
                return [], lost, list(wants)
            room = Counter[str]()
            for queue, count in wants:
                room[queue] += count
            given: list[Leased] = []
            rest: list[Leased] = []
            for leased in kept:
                wanted = room[leased.queue] > 0
                room[leased.queue] -= wanted
                (given if wanted else rest).append(leased)
            if rest:
                self._leased[owner] = rest
        return given, lost, [(queue, room[queue]) for queue in dict(wants)]

    def take_all(self) -> list[tuple[str, list[Leased]]]:
        """Give everything by owner, and keep nothing."""
        with self._mutex:
            everything = list(self._leased.items())
            self._leased.clear()
            self._lost.clear()
        return everything

    def drop(self, owner: str) -> None:
        """Keep nothing of an owner any more: the store has taken it back."""
        with self._mutex:
            self._leased.pop(owner, None)
