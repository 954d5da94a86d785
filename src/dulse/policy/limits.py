"""How fast something may happen: a bucket of tokens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from dulse import errors


class TokenBucket:
    """A bucket that `fill_rate` tokens a second drop into, until it holds `capacity`; it begins full.

    `clock` gives seconds and never goes back. `contents` are things waiting for their token, for the caller's use.
    Not for use by several threads.
    """

    def __init__(self, fill_rate: float, capacity: float = 1, clock: Callable[[], float] = time.monotonic) -> None:
        if not (fill_rate > 0 and capacity > 0):
            raise errors.make(
                errors.InvalidArgument,
                f"fill_rate {fill_rate} and capacity {capacity} of a token bucket must both be above 0",
            )
        self.fill_rate = float(fill_rate)
        self.capacity = float(capacity)
        self.contents: deque[Any] = deque()
        self._clock = clock
        self._tokens = self.capacity
        self._filled_at = clock()

    def can_consume(self, tokens: float = 1) -> bool:
        """Take so many tokens if they are there; tell whether they were."""
        if tokens > self._fill():
            return False
        self._tokens -= tokens
        return True

    def expected_time(self, tokens: float = 1) -> float:
        """Give the seconds until so many tokens are there, by the fill rate alone: `capacity` is not looked at."""
        return max(tokens - self._fill(), 0.0) / self.fill_rate

    def add(self, item: Any) -> None:
        """Put something in line."""
        self.contents.append(item)

    def pop(self) -> Any:
        """Take the first thing in line; raises IndexError if there is none."""
        return self.contents.popleft()

    def clear_pending(self) -> None:
        """Forget all that is in line."""
        self.contents.clear()

    def _fill(self) -> float:
        now = self._clock()
        self._tokens = min(self.capacity, self._tokens + self.fill_rate * (now - self._filled_at))
        self._filled_at = now
        return self._tokens

    def __repr__(self) -> str:
        return f"<TokenBucket {self._tokens:g} of {self.capacity:g}, {self.fill_rate:g} a second>"
