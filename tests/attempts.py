"""Figures of time on a machine that may stand still: one attempt of several must be in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

TRIES: Final = 4
"""A machine that stands still makes one attempt late, a fault makes all late."""


def in_time(seconds: float, attempt: Callable[[], float]) -> None:
    """Make attempts, which give the seconds that something took, until one took less; AssertionError if none did."""
    took: list[float] = []
    while not took or (took[-1] >= seconds and len(took) < TRIES):
        took.append(attempt())
    assert took[-1] < seconds


async def in_time_by_asyncio(seconds: float, attempt: Callable[[], Awaitable[float]]) -> None:
    """Do the same with attempts that are awaited."""
    took: list[float] = []
    while not took or (took[-1] >= seconds and len(took) < TRIES):
        took.append(await attempt())
    assert took[-1] < seconds
