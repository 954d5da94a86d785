"""Owners of this process that were closed while their store could not be reached, and may still be known there.

The next transport of the same place ends them as it opens, so that a program that connects again finds its exclusive
queues free at once, and not when a lease is over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Final

__all__ = ["add", "discard", "owners_at"]

_owners: Final[defaultdict[Hashable, set[str]]] = defaultdict(set)


def add(place: Hashable, owner: str) -> None:
    """Note that an owner is to be ended."""
    _owners[place].add(owner)


def discard(place: Hashable, owner: str) -> None:
    """Forget an owner that has been ended."""
    _owners[place].discard(owner)
    if not _owners[place]:
        _owners.pop(place, None)


def owners_at(place: Hashable) -> tuple[str, ...]:
    """Name those that are to be ended."""
    return tuple(_owners.get(place, ()))
