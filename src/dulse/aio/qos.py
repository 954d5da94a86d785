"""A prefetch count that changes while messages are worked on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from dulse.links.waiting.aio import finished

PREFETCH_COUNT_MAX = 0xFFFF
"""The highest prefetch count (an unsigned short: AMQP 0-9-1 §1.8.3.11)."""

_logger = logging.getLogger(__name__)


class QoS:
    """A prefetch count that threads raise and lower, and that one of them sets on the channel by `update`.

    `callback(prefetch_count=…)` sets it, such as `consumer.qos`. Above 65535 it is set to no bound.
    With `max_prefetch`, raising ends there. A count of 0, no bound, is neither raised nor lowered.
    """

    prev: int | None = None
    """What was set last."""

    def __init__(
        self, callback: Callable[..., Any], initial_value: int | None, max_prefetch: int | None = None
    ) -> None:
        self.callback = callback
        self.value = initial_value or 0
        self.max_prefetch = max_prefetch
        self._mutex: AbstractContextManager[Any] = threading.RLock()

    def increment_eventually(self, n: int = 1) -> int:
        """Raise the count, to be set by the next `update`, and give it."""
        with self._mutex:
            if self.value:
                self.value += max(n, 0)
                if self.max_prefetch is not None:
                    self.value = min(self.value, self.max_prefetch)
            return self.value

    def decrement_eventually(self, n: int = 1) -> int:
        """Lower the count, to be set by the next `update`, and give it; it stays at 1 at least."""
        with self._mutex:
            if self.value:
                self.value = max(self.value - n, 1)
            return self.value

    async def set(self, pcount: int) -> int:
        """Set a count on the channel unless it was the last one set, and give it."""
        if pcount != self.prev:
            value = pcount
            if pcount > PREFETCH_COUNT_MAX:
                _logger.warning("prefetch count %s is above %s: set to no bound", pcount, PREFETCH_COUNT_MAX)
                value = 0
            await finished(self.callback(prefetch_count=value))
            self.prev = pcount
        return pcount

    async def update(self) -> int:
        """Set the present count on the channel, and give it."""
        with self._mutex:
            value = self.value
        return await self.set(value)
