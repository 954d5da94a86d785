"""Where a consumer that is iterated over puts its messages until they are given out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic

from dulse import errors
from dulse.aio.contracts import Client
from dulse.aio.message import Message
from dulse.model.generic import Payload

_SLICE = 1.0
"""Seconds after which a waiting iteration looks whether it has been cancelled from elsewhere."""


class Inbox(Generic[Payload]):
    """Messages that were handed over and not yet given out, and the queues that the broker stopped giving us."""

    def __init__(self) -> None:
        self.messages: deque[Message[Payload]] = deque()
        self.ended: list[str] = []

    async def take(
        self, client: Client, timeout: float | None, consuming: Callable[[], bool]
    ) -> Message[Payload] | None:
        """Give the next message, waiting for it; None after `timeout` seconds, or when nothing is consumed any more."""
        clock = client.clock
        deadline = None if timeout is None else clock.monotonic() + timeout
        waited = False
        while not self.messages:
            left = _SLICE if deadline is None else deadline - clock.monotonic()
            self.raise_if_ended()
            if not consuming() or (waited and left <= 0):
                return None
            waited = True
            try:
                await client.drain_events(timeout=max(0.0, min(left, _SLICE)))
            except errors.DeadlineExceeded:
                continue
        return self.messages.popleft()

    def raise_if_ended(self) -> None:
        """Raise ConsumerCancelled, once for each queue, where the broker has ended a consumer."""
        if self.ended:
            queue = self.ended.pop(0)
            text = f"the broker has ended the consumer of queue {queue!r}: it may have been deleted"
            raise errors.make(errors.ConsumerCancelled, text, method="basic_cancel")

    async def give_back(self) -> None:
        """Return to the broker what was not given out."""
        while self.messages:
            await self.messages.popleft().requeue()

    def forget(self) -> None:
        """Drop what belongs to a channel that is gone: the broker gives it out again."""
        self.messages.clear()
        self.ended.clear()
