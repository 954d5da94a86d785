"""Being told instead of waiting: what a store offers whose other calls never wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from dulse.virtual.storage import Storage

Notify = Callable[[Sequence[str] | None], object]
"""Told what `wait` would answer: queues that changed, () when the time is over on the store's clock, None: anything."""


class ArmedStorage(Storage, Protocol):
    """A Storage none of whose calls waits, but for `wait`, and that has `arm` in its place."""

    def arm(self, queues: Sequence[str], seconds: float, notify: Notify) -> Callable[[], None]:
        """Have `notify` told what a `wait` would answer; gives a function that ends it.

        It is called from any thread, also from this call, perhaps with the store's lock held, and more than once:
        with the name of each queue that got a record, with () when `seconds` are over on the store's clock if that is
        one that jumps (the caller watches the real time), with None when anything may have changed.
        """
        ...


def merged(answers: Iterable[Sequence[str] | None]) -> Sequence[str] | None:
    """Make one answer of `wait` of all that was told."""
    names: dict[str, None] = {}
    for answer in answers:
        if answer is None:
            return None
        names.update(dict.fromkeys(answer))
    return tuple(names)
