"""Puts that a store answers later: sent at once, kept until a barrier says that they are written, else sent again.

For stores with the capability `late_answers`. Every put has the next number of one sequence, and a store writes no
number but the next. So whatever was cut short leaves a gap after which nothing is written, and sending all of it again
in its order changes nothing that is there, loses nothing and writes nothing twice.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from dulse import errors
from dulse.links.waiting.aio import Lock, acquired, sleep
from dulse.model.message import Outgoing
from dulse.model.not_taken import OnUnconfirmed, raise_oldest
from dulse.model.records import Guard, Put
from dulse.virtual.storage import AsyncStorage

logger = logging.getLogger("dulse.virtual")

WINDOW_PUTS: Final = 1000
WINDOW_BYTES: Final = 8 * 1024 * 1024
"""What may be unanswered; the put after that waits for the answers first."""

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 1.0
"""Seconds between two tries while the store cannot be reached."""

_OF_ONE_MESSAGE = (errors.ChannelError, errors.PublishError, errors.InvalidArgument, errors.NotSupported)
"""What a store says against one message, and not against all."""


class Sent(NamedTuple):
    """A put that was sent and not answered."""

    puts: Sequence[Put]
    guards: Sequence[Guard]
    messages: Sequence[Outgoing]
    size: int


_NOTHING: Final = Sent((), (), (), 0)


class Pipeline:
    """What one transport has sent and not been answered. Threads (tasks) share it."""

    def __init__(
        self, storage: AsyncStorage, park: str, answer_soon: Callable[[], None], on_unconfirmed: OnUnconfirmed | None
    ) -> None:
        self._storage = storage
        self._park = park
        """The queue of the store for what is routed by an outdated route."""
        self._answer_soon = answer_soon
        self._on_unconfirmed = on_unconfirmed
        self._turn = Lock()
        self._sent: deque[Sent] = deque()
        self._size = 0
        self._is_doubtful = False
        """Something of it may not have been sent."""
        self._failed: list[tuple[Sent, Exception]] = []
        """What nobody was told of yet."""
        self._problems: list[Exception] = []
        """What the next flush raises."""
        self._begin_sequence()

    def __repr__(self) -> str:
        return f"<Pipeline {self._name}: {len(self._sent)} puts unanswered, {self._answered} answered>"

    @property
    def unanswered(self) -> int:
        """How many puts wait for their answer."""
        return len(self._sent)

    def _begin_sequence(self) -> None:
        """Begin to number at 1 what is unanswered, under another name."""
        self._name = os.urandom(8).hex()
        self._answered = 0

    async def put(
        self, puts: Sequence[Put], guards: Sequence[Guard], messages: Sequence[Outgoing], until: float
    ) -> None:
        """Send a put; when this returns it is on its way, and watched.

        Raises for these messages only; a call that raised may nevertheless have sent them.
        """
        await self._take_turn(until)
        try:
            if self._is_doubtful or len(self._sent) >= WINDOW_PUTS or self._size >= WINDOW_BYTES:
                await self._settle(until)
            sent = Sent(puts, guards, messages, sum(put.size for put in puts))
            self._is_doubtful = True  # until it has gone out: an exception may come from a signal at any moment
            self._sent.append(sent)
            self._size += sent.size
            await self._send_first_time(sent, until)
            if len(self._sent) == 1:
                self._answer_soon()
        finally:
            self._turn.release()
            if self._failed:
                self._tell()

    async def answer(self, until: float) -> None:
        """Wait until the store has decided on all that was sent, and send again what it has not got.

        Raises what keeps the store from it; all of it stays, and nothing is lost.
        """
        if not self._sent:
            return
        await self._take_turn(until)
        try:
            await self._settle(until)
        finally:
            self._turn.release()
            if self._failed:
                self._tell()

    async def end(self, until: float) -> None:
        """Do what `answer` does for the last time: what cannot be written by then has failed."""
        try:
            await self.answer(until)
        except errors.OperationalError as problem:
            while self._sent:
                self._fail_first(problem)
            self._tell()

    def discard(self) -> None:
        """Know nothing of what was sent: a forked child leaves it to its parent."""
        self._turn = Lock()
        self._forget(len(self._sent))
        self._failed.clear()
        self._problems.clear()
        self._is_doubtful = False
        self._begin_sequence()

    # ---------------------------------------------------------------------------------------- by whose turn it is

    async def _take_turn(self, until: float) -> None:
        if not await acquired(self._turn, until - time.monotonic()):
            text = "others were still waiting for the store to answer: look whether it is stalled, or allow more time"
            raise errors.make(errors.DeadlineExceeded, text)

    async def _send(self, number: int, sent: Sent, until: float) -> object:
        return await self._storage.put(sent.puts, sent.guards, (self._name, number), self._park, until=until)

    async def _send_first_time(self, sent: Sent, until: float) -> None:
        """Send a put, whatever it takes; raises if that was in vain, of which its caller alone is told."""
        try:
            try:
                answer = await self._send(self._answered + len(self._sent), sent, until)
            except errors.OperationalError:
                await self._settle(until)
                return
        except BaseException:
            self._withdraw(sent)
            raise
        if answer is not None:
            self._forget(len(self._sent))
        self._is_doubtful = False

    async def _settle(self, until: float) -> None:
        """Leave nothing unanswered, whatever it takes; raises at `until`."""
        pause = FIRST_PAUSE
        is_again = False
        while self._sent:
            try:
                if self._is_doubtful:
                    await self._send_again(until)
                number, _ = await self._storage.barrier(max(0.0, until - time.monotonic()))
            except errors.OperationalError:
                self._is_doubtful, is_again = True, False
                if time.monotonic() + pause >= until:
                    raise
                await sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if number < self._answered:
                text = (
                    "the store has lost at least %d messages that it had confirmed (a fail-over, or a restored backup)"
                )
                logger.error(text, self._answered - number)
                self._begin_sequence()
            else:
                self._forget(min(number - self._answered, len(self._sent)))
                if is_again and self._sent:
                    await self._put_first(until)
            self._is_doubtful = is_again = bool(self._sent)

    async def _send_again(self, until: float) -> None:
        for number, sent in enumerate(tuple(self._sent), self._answered + 1):
            await self._send(number, sent, until)

    async def _put_first(self, until: float) -> None:
        """Put alone, and wait for the answer: what was sent twice and not written was refused, and this says why."""
        first = self._sent[0]
        try:
            await self._storage.put(first.puts, first.guards, None, self._park, until=until)
        except _OF_ONE_MESSAGE as problem:
            self._fail_first(problem)
        else:
            self._forget(1)
        self._begin_sequence()

    def _withdraw(self, sent: Sent) -> None:
        """Have nothing in place of a put: its number may have been used, and must not come to mean another."""
        for index in range(len(self._sent) - 1, -1, -1):
            if self._sent[index] is sent:
                self._sent[index] = _NOTHING
                self._size -= sent.size
                return

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._size -= self._sent.popleft().size
        self._answered += count

    def _fail_first(self, problem: Exception) -> None:
        self._failed.append((self._sent[0], problem))
        self._forget(1)

    # ------------------------------------------------------------------------------------------------ telling

    def _tell(self) -> None:
        """Tell of messages that were not taken, without the turn: who is told may publish."""
        failed, self._failed = self._failed, []
        for sent, problem in failed:
            for message in sent.messages:
                self.tell_of(message, problem)

    def tell_of(self, message: Outgoing, why: Exception) -> None:
        """Tell of one message that was not taken, now and by the next `raise_problems`."""
        where = f"exchange {message.exchange!r}, routing key {message.routing_key!r}, {len(message.body)} bytes"
        problem = why
        if not isinstance(why, errors.ChannelError | errors.PublishError):
            problem = errors.make(errors.Unconfirmed, f"a message was not taken ({where}): {why}", message=message)
            problem.__cause__ = why
        self._problems.append(problem)
        logger.error("a message was not taken (%s): %s", where, why)
        if self._on_unconfirmed is None:
            return
        try:
            self._on_unconfirmed(message, problem)
        except Exception:
            logger.exception("on_unconfirmed failed for a message (%s)", where)

    def raise_problems(self) -> None:
        """Raise the oldest failure of a message that was not raised before; the others count as told then."""
        problems, self._problems = self._problems, []
        raise_oldest(problems)
