"""One open store as a broker: the only Transport over any Storage, final, never subclassed.

A transport is one *owner* in the store. It takes records ahead for its consumers (`Intake`), hands them over in
`drain`, collects what is settled and writes that together with the next taking.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from dulse import errors
from dulse.broker.dead_letters import objection
from dulse.broker.intake import Consumer, Intake
from dulse.broker.restrictions import Restrictions
from dulse.broker.rules import QueueRules
from dulse.links.waiting.aio import Mutex, Signal, finished
from dulse.model.capabilities import Capabilities
from dulse.model.not_taken import OnUnconfirmed
from dulse.model.records import Leased, Token
from dulse.policy.clocks import Clock
from dulse.virtual.aio.audit import Audit
from dulse.virtual.aio.catalogue import Catalogue
from dulse.virtual.aio.channel import VirtualChannel
from dulse.virtual.aio.closing import end_publishing, give_everything_back
from dulse.virtual.aio.debts import Debts
from dulse.virtual.aio.management import VirtualManagement
from dulse.virtual.aio.parking import place_of, route_parked
from dulse.virtual.aio.pipeline import Pipeline
from dulse.virtual.aio.publishing import Dispatch
from dulse.virtual.aio.roster import Roster
from dulse.virtual.aio.settlements import Settlements
from dulse.virtual.aio.upkeep import NEVER, Upkeep
from dulse.virtual.limits import in_time, looks_end
from dulse.virtual.storage import AsyncStorage

LOOK_AGAIN = 1.0
"""Seconds after which a waiting consumer looks without having been woken: a safety net, and for inactive consumers."""

CLOSING = 0.5
"""Seconds left for letting go of the store, at least."""

Event = tuple[Callable[[Any], Any], Any, dict[int, None] | None]
"""Who is to be called in `drain`, and with what: a delivery, or the tag of a consumer that has ended; and where it is
noted that nobody was called so far."""


class VirtualTransport:
    """The Transport over a Storage. Any number of threads (tasks) may use it at once."""

    def __init__(
        self,
        storage: AsyncStorage,
        *,
        clock: Clock,
        lease: float,
        max_hold: float | None,
        timeout: float,
        place: Hashable = None,
        unrouted: str | None = None,
        waits_for_answers: bool = False,
        on_unconfirmed: OnUnconfirmed | None = None,
    ) -> None:
        self.storage = storage
        self.place = place
        self.owner = os.urandom(16).hex()
        self.mutex = Mutex()
        self.intake = Intake()
        self.channels: dict[int, VirtualChannel] = {}
        self.lease_ms = int(lease * 1000)
        self.catalogue = Catalogue(storage)
        self.dispatch = Dispatch(storage, self.catalogue, self.owner, self.lease_ms, clock, unrouted, self._drop)
        self.timeout = timeout
        self._clock = clock
        self._arrivals = Signal()
        self.is_fetching = False
        """Somebody waits in the store for messages, and is to be woken when room is made."""
        self._endings: deque[Event] = deque()
        self.debts = Debts(self)
        self.audit = Audit(self)
        self._idle_since = NEVER
        """When the store was last seen to have nothing for our consumers."""
        self._last_channel = 0
        self._known: dict[str, tuple[QueueRules, float]] = {}
        """The rules of queues that we may get from, and until when we need not ask again."""
        self._is_open = False
        longest = self.dispatch.restrictions.longest_hold(lease, max_hold)
        self._upkeep = Upkeep(self, lease, longest)
        if storage.capabilities.late_answers and not waits_for_answers:
            self.dispatch.pipeline = Pipeline(storage, place_of(self.owner), self._upkeep.answer_soon, on_unconfirmed)
        self.settlements = Settlements(storage, self.owner, self.mutex, self._upkeep)
        self.roster = Roster(self)
        self.management = VirtualManagement(self)

    def __repr__(self) -> str:
        state = "open" if self._is_open else "closed"
        return f"<VirtualTransport on {self.storage!r}: {state}, {len(self.channels)} channels, {self.intake!r}>"

    @property
    def capabilities(self) -> Capabilities:
        """What the store can do."""
        return self.storage.capabilities

    async def open(self, timeout: float) -> None:
        """Open the store."""
        until = self.deadline(timeout)
        await self.storage.open(timeout)
        self.dispatch.restrictions = Restrictions(self.storage.capabilities)  # a server may take less than others
        self._is_open = True
        await self._upkeep.start(until)

    async def channel(self) -> VirtualChannel:
        """Open a channel."""
        self._check_open()
        with self.mutex:
            self._last_channel += 1
            channel = self.channels[self._last_channel] = VirtualChannel(self, self._last_channel)
        return channel

    async def check(self, timeout: float | None = None) -> None:
        """Do one cheap round trip to the store."""
        self._check_open()
        await self.storage.revisions(["x/"], until=self.deadline(timeout))

    def deadline(self, timeout: float | None) -> float:
        """Give when a call must have ended, on time.monotonic(); None: by this connection's limit."""
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def _check_open(self) -> None:
        if not self._is_open:
            raise errors.make(errors.ConnectionClosed, "this connection is closed: connect again, or make another")

    # ------------------------------------------------------------------------------------------- deliver

    async def drain(self, timeout: float | None = None) -> None:
        """Hand over one message; see Transport."""
        settlements = self.settlements
        now = time.monotonic()
        try:
            if (settlements.tokens and now > settlements.due) or now > self._upkeep.trusted_until:
                await self._catch_up(timeout, now)
            callback, argument, unhanded = self._next_event() or await self._await_event(timeout)
            if unhanded is not None:
                del unhanded[argument.delivery_tag]
        except errors.DulseError:
            raise
        except BaseException:
            self.audit.wanted = True
            raise
        await finished(callback(argument))

    async def _catch_up(self, timeout: float | None, now: float) -> None:
        """Write what was settled, and make sure that what we took ahead is ours, before more is handed over."""
        until = looks_end(timeout)
        with in_time(timeout):
            await self.settlements.write(until)
            if now > self._upkeep.trusted_until:  # this process was stopped: others may have what we took ahead
                await self._upkeep.renew(until)

    def _next_event(self) -> Event | None:
        """Choose a message and who gets it, and count it as theirs, all in one step; None if nothing fits."""
        with self.mutex:
            if self._endings:
                return self._endings.popleft()
            picked = self.intake.pick()
            if picked is None:
                return None
            consumer, leased = picked
            try:
                delivery = consumer.channel.hand_over(consumer, leased)
            except errors.DecodeError:
                self.intake.unpick(consumer)
                self.debts.owe([leased], "damaged")
                return None
            if consumer.no_ack:
                self.settlements.add(leased.token)
            return consumer.on_delivery, delivery, None if consumer.no_ack else consumer.channel.unhanded

    async def _await_event(self, timeout: float | None) -> Event:
        """Fetch, or wait for whoever is fetching, until there is something for one of our consumers."""
        deadline = None if timeout is None else time.monotonic() + timeout
        until = looks_end(timeout)
        while True:
            self._check_open()
            leads = False
            try:
                with self.mutex:
                    event = self._next_event()
                    ticket = self._arrivals.ticket()
                    leads = event is None and not self.is_fetching
                    self.is_fetching = self.is_fetching or leads
                if event is not None:
                    return event
                left = LOOK_AGAIN if deadline is None else deadline - time.monotonic()
                if leads:
                    with in_time(timeout):
                        got = await self._fetch(left, until)
                else:
                    got = await self._arrivals.wait(max(0.0, min(left, LOOK_AGAIN)), ticket)
            finally:
                if leads:  # also when a signal's handler raised as soon as the flag was set: others would wait for ever
                    self.is_fetching = False
                    self._arrivals.notify()
            if left <= 0 and not got:
                raise errors.make(errors.DeadlineExceeded, f"no message within {timeout} seconds")

    async def _fetch(self, seconds: float, until: float | None) -> bool:
        """Take what our consumers have room for, or wait for it at most so long; True: look again."""
        if self.debts:
            await self.debts.pay(until)
        ticket = self._arrivals.ticket()
        empty = await self._take_ahead(until)
        if empty is None:
            return True
        if not empty:
            await self.settlements.write(until)
            return await self._wait_for_room(seconds, ticket, until)
        if await self._upkeep.promote(until):
            return True
        if seconds <= 0:
            return False
        await self.storage.wait(empty, min(seconds, self._upkeep.next_due(LOOK_AGAIN)))
        return True

    async def _take_ahead(self, until: float | None) -> list[str] | None:
        """Take what our consumers have room for; None, or the queues that have nothing for them."""
        begun, idle_since, empty = time.monotonic(), self._idle_since, list[str]()
        while True:
            with self.mutex:
                wants = self.intake.wants(empty)
                settle = self.settlements.take(again=True) if wants else []
            if not wants:
                return empty
            leased = await self._reserve(wants, settle, until)
            self._idle_since = NEVER if leased else begun
            if leased:
                await self._receive(leased, time.monotonic() - idle_since, until)
                return None
            empty += [queue for queue, _ in wants]

    async def _reserve(
        self, wants: Sequence[tuple[str, int]], settle: list[Token], until: float | None
    ) -> Sequence[Leased]:
        try:
            leased, lost = await self.storage.reserve(wants, self.owner, self.lease_ms, settle, until=until)
        except BaseException:
            self.audit.wanted = True  # nobody knows what it has taken
            self.settlements.restore(settle)
            raise
        self.settlements.written(settle, lost)
        return leased

    async def _wait_for_room(self, seconds: float, ticket: object, until: float | None) -> bool:
        """Nothing can be taken: wait until something is settled, a consumer starts or one becomes active."""
        await self._upkeep.look_at_consumers(until)
        if seconds <= 0:
            return False
        return await self._arrivals.wait(min(seconds, LOOK_AGAIN), ticket)

    async def _receive(self, records: Sequence[Leased], idle: float, until: float | None) -> None:
        """Keep what may be delivered; send on what has expired or was delivered too often.

        For `idle` seconds consumers have had room and nothing was there: what came then came to them at once, which is
        all that a message may want whose time to live is 0.
        """
        good = []
        for leased in records:
            # What comes for the first time and never expires, as nearly all does, meets no rule.
            plain = leased.deliveries == 1 and leased.ttl_ms is None
            reason = None if plain else objection(leased, self.intake.rules(leased.queue), idle)
            if reason is None:
                good.append(leased)
            else:
                with self.mutex:
                    self.debts.owe([leased], reason)
        with self.mutex:
            self.debts.owe(self.intake.store(good), "unhanded")
        if self.debts:
            await self.debts.pay(until)

    async def take(self, queue: str, until: float | None = None) -> Leased | None:
        """Take one record for basic.get; NotFound, ResourceLocked."""
        rules, known_until = self._known.get(queue, (None, 0.0))
        if rules is None or time.monotonic() > known_until:
            rules = await self._access(queue, until)
        while True:
            with self.mutex:
                settle = self.settlements.take()
            leased = await self._reserve([(queue, 1)], settle, until)
            if not leased:
                if await self._upkeep.promote(until):
                    continue
                await self._access(queue, until)
                return None
            reason = objection(leased[0], rules)
            if reason is None:
                return leased[0]
            with self.mutex:
                self.debts.owe(leased, reason)
            await self.debts.pay(until)

    async def _access(self, queue: str, until: float | None) -> QueueRules:
        self._known.pop(queue, None)
        rules = await self.catalogue.use(queue, self.owner, "Basic.get", until)
        if rules.expires_ms is None:
            self._known[queue] = (rules, time.monotonic() + LOOK_AGAIN)
        return rules

    async def rules_of(self, queue: str, until: float | None = None) -> QueueRules | None:
        """Give the rules of a queue, as we know them or as the store has them."""
        return self.intake.rules(queue) or await self.catalogue.rules(queue, until)

    # --------------------------------------------------------------------------------------------- settle

    async def _drop(self, records: Sequence[Leased], until: float | None) -> None:
        with self.mutex:
            self.debts.owe(records, "maxlen")
        await self.debts.pay(until)

    async def expire(self, queues: Sequence[str], until: float | None = None) -> None:
        """Send on the records of these queues that have outlived their time to live."""
        await self._upkeep.expire(queues, until)

    def tell_end(self, consumer: Consumer) -> None:
        """Have the next drain tell that a consumer has ended; the caller holds the mutex."""
        if consumer.on_cancel is not None:
            self._endings.append((consumer.on_cancel, consumer.tag, None))

    def made_room(self) -> None:
        """Something may be delivered now that could not before: let the drain look."""
        self._arrivals.notify()
        if self.is_fetching:
            self.storage.wake()

    # ---------------------------------------------------------------------------------------------- close

    async def flush(self, timeout: float | None = None) -> None:
        """Write out what was settled, and wait until what was published is stored; raises what was not taken."""
        until = self.deadline(timeout)
        await self.settlements.flush(until)
        if self.dispatch.pipeline is not None:
            await self.dispatch.pipeline.answer(until)
            await route_parked(self, until)
            self.dispatch.pipeline.raise_problems()

    async def close(self, timeout: float | None = None) -> None:
        """Give back all that was taken and let go of the store; an end for good.

        Where it is cut short, what was not given back is when the lease is over, or when this process connects again.
        Raises what was published and not taken, having closed.
        """
        if not self._is_open:
            return
        self._is_open = False
        until = self.deadline(timeout)
        try:
            await self._end_drains()
            await self._upkeep.stop(until)
            try:
                await end_publishing(self, until)
            finally:
                await give_everything_back(self, until)
        finally:
            self.channels.clear()
            await self.storage.close(max(CLOSING, until - time.monotonic()))

    async def _end_drains(self) -> None:
        """Wake whoever waits in the store, and wait a moment: what they take now would be given back too early."""
        deadline = time.monotonic() + LOOK_AGAIN
        while True:
            ticket = self._arrivals.ticket()
            left = deadline - time.monotonic()
            if not self.is_fetching or left <= 0:
                return
            self.storage.wake()
            await self._arrivals.wait(min(left, 0.05), ticket)

    def discard(self) -> None:
        """Forget everything without I/O."""
        self._is_open = False
        self.forget_taken()
        if self.dispatch.pipeline is not None:
            self.dispatch.pipeline.discard()
        self._endings.clear()
        for channel in self.channels.values():
            channel.discard()
        self.channels.clear()
        self.storage.discard()

    def forget_taken(self) -> None:
        """Know nothing of what was taken any more: it is somebody else's now."""
        with self.mutex:
            self.intake.empty()
            self.debts.clear()
            self.settlements.clear()
