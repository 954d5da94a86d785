"""Waiting for records: the bell tells that something was put, the counters tell where."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from dulse.links.bell import Bell

__all__ = ["wait"]

FIRST_REST: Final = 0.002
LONGEST_REST: Final = 0.020
"""Seconds between two looks while the queues of others are busy and those that are waited for stay empty."""


def wait(bell: Bell, ready: Callable[[], list[str]], seconds: float) -> Sequence[str] | None:
    """Wait until some are `ready`; () when the time is over, None when the bell was rung."""
    until = time.monotonic() + seconds
    rings = bell.rings
    rest = 0.0
    while True:
        changes = bell.now()
        found = ready()
        if found:
            return found
        left = until - time.monotonic()
        if left <= 0:
            return ()
        if rest:
            time.sleep(min(rest, left))
        bell.wait(changes, rings, until, lambda: bool(ready()))
        if bell.rings != rings:
            return None
        rest = min(max(FIRST_REST, rest * 2), LONGEST_REST) if bell.changes != changes else 0.0
