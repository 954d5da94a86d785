"""What the parts of an asyncio link share: its state, and waiting for a change of it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dulse import errors
from dulse.amqp.confirms import Unconfirmed
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.expected import Expected
from dulse.amqp.life import LINK, Action, Happening, Status
from dulse.amqp.remembered import Remembered
from dulse.links.amqp_problems import no_connection, tell
from dulse.links.amqp_setup import LinkSetup
from dulse.links.asynchronous.wire import Wire
from dulse.model.message import Returned
from dulse.model.not_taken import raise_oldest

if TYPE_CHECKING:
    from dulse.links.asynchronous.port import Port

T = TypeVar("T")

Call = tuple[Callable[[Any], Any], Any]
"""A callback and its argument."""

logger = logging.getLogger("dulse.links")


class Core:
    """The state of an asyncio link. One thread, so nothing is locked; nothing is left half done where it awaits."""

    def __init__(self, setup: LinkSetup) -> None:
        self.setup = setup
        self.loop: asyncio.AbstractEventLoop
        """Known once it is opened."""
        self.status = Status.NEW
        self.error: Exception | None = None
        """Why the link was lost."""
        self.wire: Wire | None = None
        self.ports: dict[int, Port] = {}
        self.remembered = Remembered()
        self.ready: deque[Delivery | Call] = deque()
        """What `drain` hands over next."""
        self.returns: deque[tuple[Callable[[Returned], Any], Returned]] = deque()
        """Messages that came back, and who wants to know."""
        self.drainers: deque[asyncio.Future[None]] = deque()
        self.calls: dict[Expected, asyncio.Future[Any]] = {}
        self.abandoned: set[Expected] = set()
        """Calls that nobody waits for any more, and whose reply may still come."""
        self.problems: deque[Exception] = deque()
        """What the broker did not take and nobody was told of yet."""
        self.acking: list[Port] = []
        """Who has acknowledgements that are not sent."""
        self.acks_due = 0.0
        self.unread = 0
        """Bytes that were read since `ready` was empty."""
        self.waits = 0
        """How many wait for an answer, so that reading must go on."""
        self.watchers: set[asyncio.Future[None]] = set()
        """Those who wait for a change of the state."""

    def __repr__(self) -> str:
        return f"<Link: {self.status.value}, {len(self.ports)} channels, {len(self.ready)} ready>"

    # ----------------------------------------------------------------------------------------- state

    @property
    def is_open(self) -> bool:
        """Whether it can be used, or is being replaced."""
        return self.status is Status.OPEN or self.status is Status.BROKEN

    def is_on(self, wire: Wire) -> bool:
        """Tell whether this connection is still the one."""
        return self.wire is wire

    def check_on(self, wire: Wire) -> None:
        """Raise unless this connection is still the one."""
        if self.wire is not wire:
            raise self.why_not()

    def need_wire(self) -> Wire:
        """Give the connection; raises what ended it."""
        if self.wire is None:
            raise self.why_not()
        return self.wire

    def need_engine(self) -> Engine:
        """Give the engine of the connection; raises what ended it."""
        return self.need_wire().engine

    def why_not(self) -> Exception:
        """Build the error that says why nothing can be done."""
        return no_connection(self.status, self.error)

    def turn(self, happening: Happening) -> tuple[Action, ...]:
        """Stand where an event leads, and give what has to be done."""
        self.status, actions = LINK[happening, self.status]
        return actions

    def check_open(self) -> None:
        """Raise unless it can be used, or is being replaced."""
        if not self.is_open:
            raise self.why_not()

    def deadline(self, timeout: float | None) -> float:
        """Give when a call has to end, by the loop's clock."""
        return self.loop.time() + (self.setup.timeout if timeout is None else timeout)

    # ---------------------------------------------------------------------------------------- waiting

    def notify(self) -> None:
        """Have everybody look who waits for a change of the state."""
        watchers, self.watchers = self.watchers, set()
        for each in watchers:
            wake(each)
        if not self.is_open:
            for drainer in self.drainers:
                wake(drainer)

    async def until(self, ready: Callable[[], bool], deadline: float) -> bool:
        """Wait until `ready()`; False if it is not by `deadline`."""
        loop = self.loop
        while not ready():
            if loop.time() >= deadline:
                return False
            watcher = loop.create_future()
            self.watchers.add(watcher)
            try:
                await self.answered(watcher, deadline)
            except TimeoutError:
                continue
            finally:
                self.watchers.discard(watcher)
        return True

    async def answered(self, future: asyncio.Future[T], deadline: float) -> T:
        """Await a future to which reading will lead; TimeoutError when the deadline is over."""
        handle = self.loop.call_at(deadline, _expire, future)
        self.waits += 1
        self.look()
        try:
            return await future
        finally:
            self.waits -= 1
            handle.cancel()

    def look(self) -> None:
        """Read on, if reading is paused."""
        if self.wire is not None and self.wire.is_paused:
            self.unread = 0
            self.wire.resume()

    # --------------------------------------------------------------------------------------- messages

    def fail(self, message: Unconfirmed, error: Exception) -> None:
        """Tell whoever waits for a message that the broker did not take it, or keep that for the next to come."""
        if isinstance(error, errors.NotFound):
            self.remembered.ladder.forget()  # it may be of that that something is gone
        token: Any = message.token
        if token is not None and not token[0].done():
            token[0].set_exception(error)
            return
        self.problems.append(error)
        tell(self.setup, message.data, error)

    def leave(self, answers: Iterable[asyncio.Future[None]]) -> None:
        """Wait no more for the broker's answers for these messages: what it does not take is told otherwise."""
        for answer in answers:
            if not answer.cancel() and not answer.cancelled() and (problem := answer.exception()) is not None:
                self.problems.append(cast("Exception", problem))

    def raise_problems(self) -> None:
        """Raise the oldest failure that nobody was told of, and take all of them as told."""
        problems = list(self.problems)
        self.problems.clear()
        raise_oldest(problems)


def wake(future: asyncio.Future[None]) -> None:
    """Let a task go on that waits for this, unless it does not any more."""
    if not future.done():
        future.set_result(None)


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
