"""Keys that clients have to know, and the names that cannot be."""

from __future__ import annotations

from typing import Final

from dulse import errors

__all__ = ["SEPARATOR", "check", "levels_key", "ready_key"]

SEPARATOR: Final = "\x06\x16"
"""Stands between a queue's name and a priority in Kombu's keys."""


def check(name: str) -> None:
    """Refuse a name that holds Kombu's separator."""
    if SEPARATOR in name:
        text = (
            f"the name {name!r} holds the characters \\x06\\x16, which separate the priorities in Redis: leave them out"
        )
        raise errors.make(errors.InvalidArgument, text)


def ready_key(prefix: str, queue: str) -> str:
    """Name the list of a queue's ready records without a priority; see `ready` in lua/parts/names.lua."""
    return f"{prefix}dulse.queue:{queue}" if queue.startswith("dulse.") else prefix + queue


def levels_key(prefix: str, queue: str) -> str:
    """Name the set of the priorities above 0 that may have ready records."""
    return f"{prefix}dulse.levels:{queue}"
