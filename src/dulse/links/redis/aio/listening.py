"""The link on which a store listens for what the server says unasked: invalidations of tracked keys, messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple

from dulse import errors
from dulse.links.redis import codec
from dulse.links.redis.aio.line import Line
from dulse.links.redis.aio.link import RedisLink
from dulse.links.redis.problems import late
from dulse.links.redis.resp import Command, ErrorReply
from dulse.links.redis.settings import Settings
from dulse.links.redis.slots import MOVING
from dulse.links.waiting.aio import Signal, acquired

PING_AFTER: Final = 5.0
"""Seconds of silence after which a listener asks whether the server is there."""
ANSWER_WITHIN: Final = 5.0
"""Seconds in which it must answer that."""

_INVALIDATE: Final = b"invalidate"


class Heard(NamedTuple):
    """What a listener was told."""

    replies: Sequence[Any]
    """To the commands; error replies stand among them (ErrorReply)."""
    pushes: Sequence[list[Any]]
    """`[b"invalidate", [key, …] or None (all)]`, `[b"pmessage", pattern, channel, data]`, …"""
    is_woken: bool = False


class ListeningLink(RedisLink):
    """A link whose connection has CLIENT TRACKING on. Threads (tasks) may listen at once: one reads for all."""

    def __init__(self, settings: Settings, *, greeting: Sequence[Command] = ()) -> None:
        super().__init__(settings, greeting=[("CLIENT", "TRACKING", "ON"), *greeting])
        self._told = Signal()
        self._boxes: list[list[list[Any]]] = []
        """Of those who listen now: the pushes that each has yet to be given."""
        self._rung = object()
        """Another one after each `wake`."""
        self._is_rung = False
        """A wake-up that nobody has had."""
        self._wanting: deque[None] = deque()
        """One for each who wants to send, for whom the reader makes way."""

    async def listen(
        self,
        commands: Sequence[Command],
        seconds: float,
        satisfied: Callable[[Sequence[Any]], bool] | None = None,
    ) -> Heard:
        """Send commands, and wait until the server says something unasked, or `wake`, or the time is over.

        What the commands read is tracked by the server from then on, so an EXISTS over keys and the wait for their
        invalidation leave no gap. If `satisfied` by the replies it does not wait. Raises ConnectionLost when the
        connection breaks, also when the server does not answer any more (found out within 10 s); all that was
        tracked and subscribed by commands is forgotten then (`greeting` is said anew).
        """
        until = monotonic() + seconds
        if self._is_rung:
            self._is_rung = False
            return Heard((), (), is_woken=True)
        rung = self._rung
        box: list[list[Any]] = []
        self._boxes.append(box)
        try:
            replies = await self._ask(commands, box) if commands else []
            if satisfied is None or not satisfied(replies):
                while not box and self._rung is rung and monotonic() < until:
                    await self._hear(box, rung, until)
            is_woken = self._rung is not rung
            if is_woken:
                self._is_rung = False
            return Heard(replies, box, is_woken)
        finally:
            self._boxes = [each for each in self._boxes if each is not box]
            self._told.notify()  # somebody else has to read now

    def wake(self) -> None:
        """End all that listen, or who listens next, from any thread or signal handler."""
        self._is_rung = True
        self._rung = object()
        self._told.notify()
        self._interrupt()

    def _interrupt(self) -> None:
        """Have the reader give the connection away."""
        line = self._line
        if line is not None:
            line.stream.wake()

    async def _ask(self, commands: Sequence[Command], box: list[list[Any]]) -> list[Any]:
        self._wanting.append(None)
        try:
            self._interrupt()
            data = codec.packed(commands)
            return await self._run(lambda line, limit: self._answered(line, data, len(commands), box, limit), None)
        finally:
            self._wanting.pop()
            self._told.notify()

    async def _answered(self, line: Line, data: bytes, count: int, box: list[list[Any]], limit: float) -> list[Any]:
        replies = await line.exchange(data, count, limit)
        if any(isinstance(reply, ErrorReply) and reply.code in MOVING for reply in replies):
            line.close()
            raise errors.make(errors.ConnectionLost, f"{line.place} does not have our slot of the cluster any more")
        # What became invalid before the answer, the answer tells better.
        self._deliver(line, but=box)
        return replies

    def _deliver(self, line: Line, but: list[list[Any]] | None = None) -> None:
        """Give all listeners what came; `but` gets no invalidations."""
        while line.pushes:
            push = line.pushes.popleft()
            for box in self._boxes:
                if box is not but or push[0] != _INVALIDATE:
                    box.append(push)

    async def _hear(self, box: list[list[Any]], rung: object, until: float) -> None:
        """Read once, or wait while somebody else does."""
        seen = self._told.ticket()
        if box or self._rung is not rung:
            return
        if self._wanting or self._is_inside or not await acquired(self._lock, 0):
            await self._told.wait(min(until - monotonic(), PING_AFTER), seen)
            return
        self._is_inside = True
        try:
            line = self._line
            if line is None or not line.is_open:
                raise errors.make(errors.ConnectionLost, f"the connection to Redis at {self.settings} was lost")
            await self._read(line, until)
            self._deliver(line)
        finally:
            self._is_inside = False
            self._lock.release()
            self._told.notify()

    async def _read(self, line: Line, until: float) -> None:
        ping_at = max(line.used_at, line.heard_at) + PING_AFTER
        now = monotonic()
        if now < ping_at:
            await line.hear(min(until, ping_at))
            return
        if line.used_at <= line.heard_at:
            await line.ask_for_life(now + ANSWER_WITHIN)
        elif now > line.used_at + ANSWER_WITHIN:
            line.close()
            raise late(line.place, "answer")
        await line.hear(min(until, line.used_at + ANSWER_WITHIN))
