"""The deliveries of one channel that nobody has settled yet, by delivery tag (AMQP 0-9-1 §1.8.3.13)."""

from __future__ import annotations

from itertools import takewhile
from typing import Generic, TypeVar

from dulse import errors

T = TypeVar("T")


class Ledger(Generic[T]):
    """Numbers what is delivered on a channel, from 1, and remembers it until it is settled.

    Not locked: the owner holds its lock around each call.
    """

    __slots__ = ("_entries", "_last")

    def __init__(self) -> None:
        self._entries: dict[int, T] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Ledger: {self._last} delivered, {len(self._entries)} not settled>"

    def add(self, entry: T) -> int:
        """Remember a delivery and give its tag."""
        self._last = tag = self._last + 1
        self._entries[tag] = entry
        return tag

    def skip(self) -> int:
        """Give the tag of a delivery that needs no settling."""
        self._last += 1
        return self._last

    def take(self, tag: int, method: str) -> T:
        """Remove a delivery; PreconditionFailed (406): it is unknown."""
        entry = self._entries.pop(tag, None)
        if entry is None:
            raise _unknown(tag, method)
        return entry

    def take_up_to(self, tag: int, method: str) -> list[T]:
        """Remove all deliveries up to this one, or with 0 all there are; PreconditionFailed (406): it is unknown."""
        if tag != 0 and tag not in self._entries:
            raise _unknown(tag, method)
        tags = list(takewhile(lambda each: each <= tag or tag == 0, self._entries))
        return [self._entries.pop(each) for each in tags]

    def last_tag(self) -> int:
        """Give the tag of the latest delivery, 0 before the first."""
        return self._last

    def oldest_tag(self) -> int | None:
        """Give the tag of the oldest delivery that is not settled."""
        return next(iter(self._entries), None)

    def entries(self) -> list[T]:
        """Give everything that is not settled, the oldest first."""
        return list(self._entries.values())

    def take_all(self) -> list[T]:
        """Remove everything, the oldest first."""
        entries = list(self._entries.values())
        self._entries.clear()
        return entries


def _unknown(tag: int, method: str) -> Exception:
    text = f"unknown delivery tag {tag}: it was settled before, or belongs to another channel"
    return errors.make(errors.PreconditionFailed, text, method=method)
