"""One open store as a broker: the only Transport over any Storage, final, never subclassed.

A transport is one *owner* in the store. It takes records ahead for its consumers (`Intake`), hands them over in
`drain`, collects what is settled and writes that together with the next taking.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dulse import errors
from dulse.broker.burial import decide_burial
from dulse.broker.catalogue import Decision
from dulse.broker.consumers import active_consumer
from dulse.broker.dead_letters import Reason
from dulse.broker.intake import Consumer, Intake
from dulse.broker.rules import QueueRules
from dulse.links.waiting.aio import Mutex, Signal, finished
from dulse.model.capabilities import Capabilities
from dulse.model.records import Leased, Put, Target, Token
from dulse.policy.clocks import Clock
from dulse.virtual.aio.catalogue import Catalogue
from dulse.virtual.aio.channel import VirtualChannel
from dulse.virtual.aio.management import VirtualManagement
from dulse.virtual.aio.publishing import Dispatch
from dulse.virtual.aio.settlements import UNDONE, Settlements
from dulse.virtual.aio.upkeep import Upkeep
from dulse.virtual.storage import AsyncStorage

logger = logging.getLogger("dulse.virtual")

DAMAGED = "dulse.damaged"
"""The queue, in no catalogue, that keeps records which cannot be read."""

LOOK_AGAIN = 1.0
"""Seconds after which a waiting consumer looks without having been woken: a safety net, and for inactive consumers."""


Event = tuple[Callable[[Any], Any], Any]
"""Who is to be called in `drain`, and with what: a delivery, or the tag of a consumer that has ended."""


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
        unrouted: str | None = None,
    ) -> None:
        self.storage = storage
        self.owner = os.urandom(16).hex()
        self.mutex = Mutex()
        self.intake = Intake()
        self.channels: dict[int, VirtualChannel] = {}
        self.lease_ms = int(lease * 1000)
        self.catalogue = Catalogue(storage)
        self.dispatch = Dispatch(storage, self.catalogue, self.owner, self.lease_ms, clock, unrouted)
        self.timeout = timeout
        self._clock = clock
        self._arrivals = Signal()
        self.is_fetching = False
        """Somebody waits in the store for messages, and is to be woken when room is made."""
        self._endings: deque[Event] = deque()
        self._damaged: list[tuple[Leased, Exception]] = []
        self._unfit: list[tuple[Leased, Reason]] = []
        """What was taken and is to be sent on."""
        self._last_channel = 0
        self._known: dict[str, QueueRules] = {}
        self._is_open = False
        self._upkeep = Upkeep(self, lease, max_hold)
        self.settlements = Settlements(storage, self.owner, self.mutex, self._upkeep.settle_soon)
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
        await self.storage.open(timeout)
        self._is_open = True
        await self._upkeep.start()

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
        await self.storage.revisions(["x/"])

    def _check_open(self) -> None:
        if not self._is_open:
            raise errors.make(errors.ConnectionClosed, "this connection is closed: connect again, or make another")

    # ------------------------------------------------------------------------------------------- deliver

    async def drain(self, timeout: float | None = None) -> None:
        """Hand over one message; see Transport."""
        settlements = self.settlements
        if settlements.tokens and time.monotonic() > settlements.due:
            await settlements.write()
        callback, argument = self._next_event() or await self._await_event(timeout)
        await finished(callback(argument))

    def _next_event(self) -> Event | None:
        """Choose a message and who gets it, and count it as theirs, all in one step; None if nothing fits."""
        with self.mutex:
            picked = self.intake.pick()
            if picked is None:
                return self._endings.popleft() if self._endings else None
            consumer, leased = picked
            try:
                delivery = consumer.channel.hand_over(consumer, leased)
            except errors.DecodeError as damage:
                self.intake.unpick(consumer)
                self._damaged.append((leased, damage))
                return None
            if consumer.no_ack:
                self.settlements.add(leased.token)
            return consumer.on_delivery, delivery

    async def set_aside(self, leased: Leased, damage: Exception) -> None:
        """Move a record that is no message of ours out of the way, for people to look at."""
        logger.error("a damaged record in queue %r was moved to queue %r: %s", leased.queue, DAMAGED, damage)
        await self.storage.forward(leased.token, self.owner, [Put(leased.payload, [Target(DAMAGED)])])

    async def _await_event(self, timeout: float | None) -> Event:
        """Fetch, or wait for whoever is fetching, until there is something for one of our consumers."""
        deadline = None if timeout is None else time.monotonic() + timeout
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
                    got = await self._lead(left)
                else:
                    got = await self._arrivals.wait(max(0.0, min(left, LOOK_AGAIN)), ticket)
            finally:
                if leads:  # also when a signal's handler raised as soon as the flag was set: others would wait for ever
                    with self.mutex:
                        self.is_fetching = False
                    self._arrivals.notify()
            if not got and left <= 0:
                raise errors.make(errors.DeadlineExceeded, f"no message within {timeout} seconds")

    async def _lead(self, seconds: float) -> bool:
        while self._damaged:
            await self.set_aside(*self._damaged[0])
            self._damaged.pop(0)
        await self._send_on()
        return await self._fetch(seconds)

    async def _fetch(self, seconds: float) -> bool:
        """Take what our consumers have room for, or wait for it at most so long; True: look again."""
        with self.mutex:
            wants = self.intake.wants()
            settle = self.settlements.take() if wants else []
        if not wants:
            await self.settlements.write()
            return await self._wait_for_room(seconds)
        leased = await self._reserve(wants, settle)
        if leased:
            await self._receive(leased)
            return True
        if await self._upkeep.promote():
            return True
        if seconds <= 0:
            return False
        await self.storage.wait([queue for queue, _ in wants], min(seconds, self._upkeep.next_due(LOOK_AGAIN)))
        return True

    async def _reserve(self, wants: Sequence[tuple[str, int]], settle: Sequence[Token]) -> Sequence[Leased]:
        try:
            leased, lost = await self.storage.reserve(wants, self.owner, self.lease_ms, settle)
        except UNDONE:
            self.settlements.restore(settle)
            raise
        self.settlements.report_lost(lost)
        return leased

    async def _wait_for_room(self, seconds: float) -> bool:
        """Nothing can be taken: wait until something is settled, a consumer starts or one becomes active."""
        await self._upkeep.look_at_consumers()
        if seconds <= 0:
            return False
        return await self._arrivals.wait(min(seconds, LOOK_AGAIN), self._arrivals.ticket())

    async def _receive(self, records: Sequence[Leased]) -> None:
        """Keep what may be delivered; send on what has expired or was delivered too often."""
        good = []
        for leased in records:
            # What comes for the first time and never expires, as nearly all does, meets no rule.
            plain = leased.deliveries == 1 and leased.ttl_ms is None
            reason = None if plain else self._objection(leased, self.intake.rules(leased.queue))
            if reason is None:
                good.append(leased)
            else:
                self._unfit.append((leased, reason))
        with self.mutex:
            orphans = self.intake.store(good)
        if orphans:
            await self.give_back(orphans)
        await self._send_on()

    async def _send_on(self) -> None:
        """Bury what may not be delivered; where that fails or is cancelled, whoever fetches next goes on."""
        while self._unfit:
            await self.bury(*self._unfit[0])
            self._unfit.pop(0)

    def _objection(self, leased: Leased, rules: QueueRules | None) -> Reason | None:
        if leased.ttl_ms is not None and leased.age_ms >= leased.ttl_ms:
            return "expired"
        if rules is not None and rules.exhausted(leased.deliveries):
            return "delivery_limit"
        return None

    async def take(self, queue: str) -> Leased | None:
        """Take one record for basic.get; NotFound, ResourceLocked."""
        rules = self._known.get(queue)
        if rules is None:
            rules = await self._access(queue)
        while True:
            with self.mutex:
                settle = self.settlements.take()
            leased = await self._reserve([(queue, 1)], settle)
            if not leased:
                if await self._upkeep.promote():
                    continue
                await self._access(queue)
                return None
            reason = self._objection(leased[0], rules)
            if reason is None:
                return leased[0]
            await self.bury(leased[0], reason)

    async def _access(self, queue: str) -> QueueRules:
        self._known.pop(queue, None)
        rules = await self.catalogue.use(queue, self.owner, "Basic.get")
        if rules.expires_ms is None:
            self._known[queue] = rules
        return rules

    async def rules_of(self, queue: str) -> QueueRules | None:
        """Give the rules of a queue, as we know them or as the store has them."""
        return self.intake.rules(queue) or self._known.get(queue) or await self.catalogue.rules(queue)

    # --------------------------------------------------------------------------------------------- settle

    async def put_back(self, records: Sequence[Leased]) -> None:
        """Give delivered records back, to be delivered again; those at their delivery limit are dead-lettered."""
        again = []
        for leased in records:
            rules = await self.rules_of(leased.queue)
            if rules is None or rules.may_return(leased.deliveries):
                again.append(leased.token)
            else:
                await self.bury(leased, "delivery_limit")
        if again:
            self.settlements.report_lost(await self.storage.release(again, self.owner))
        self.made_room()

    async def give_back(self, records: Sequence[Leased]) -> None:
        """Give records back that nobody was handed."""
        if records:
            await self.storage.release([leased.token for leased in records], self.owner, counted=False)

    async def bury(self, leased: Leased, reason: Reason) -> None:
        """Dead-letter a record or drop it."""
        if not await self.dispatch.bury(leased, await self.rules_of(leased.queue), reason):
            self.settlements.report_lost([leased.token])

    async def expire(self, queues: Sequence[str]) -> None:
        """Send on the records of these queues that have outlived their time to live."""
        await self._upkeep.expire(queues)

    def made_room(self) -> None:
        """Something may be delivered now that could not before: let the drain look."""
        self._arrivals.notify()
        if self.is_fetching:
            self.storage.wake()

    # ------------------------------------------------------------------------------------------ consumers

    async def start(self, consumer: Consumer, rules: QueueRules) -> None:
        """Let a consumer take part in deliveries."""
        consumer.active = not rules.single_active_consumer
        with self.mutex:
            self.intake.add(consumer, rules)
        if rules.single_active_consumer:
            await self._upkeep.look_at_consumers()
        self.made_room()

    async def stop(self, consumer: Consumer) -> None:
        """Let a consumer take no part any more; what it was handed stays to be settled."""
        with self.mutex:
            waiting = self.intake.remove(consumer.tag)
        await self.give_back(waiting)

    async def end_consumers_of(self, queue: str) -> None:
        """End the consumers of a queue that is gone; the next drains tell them (consumer cancel notification)."""
        self._known.pop(queue, None)
        for consumer in self.intake.of_queue(queue):
            with self.mutex:
                self.intake.remove(consumer.tag)
                if consumer.on_cancel is not None:
                    self._endings.append((consumer.on_cancel, consumer.tag))
            consumer.channel.forget_consumer(consumer.tag)
        self.made_room()

    async def activate(self, queue: str) -> None:
        """Find out which of our consumers of a queue is the single active one."""
        active = await self.catalogue.carry_out(lambda view: Decision(None, active_consumer(view, queue)))
        with self.mutex:
            for consumer in self.intake.of_queue(queue):
                consumer.active = active is not None and (active.owner, active.tag) == (self.owner, consumer.tag)
        self.made_room()

    # ---------------------------------------------------------------------------------------------- close

    async def flush(self, timeout: float | None = None) -> None:
        """Write out what was settled."""
        await self.settlements.write()

    async def close(self, timeout: float | None = None) -> None:
        """Give back all that was taken and let go of the store; an end for good."""
        if not self._is_open:
            return
        self._is_open = False
        await self._upkeep.stop()
        self.storage.wake()
        try:
            await self.settlements.write()
            with self.mutex:
                waiting = self.intake.empty()
            await self.give_back(waiting)
            for channel in list(self.channels.values()):
                await channel.close()
            await self.catalogue.carry_out(partial(decide_burial, owner=self.owner))
            while await self.storage.forget(self.owner, force=True):
                pass
        finally:
            self._arrivals.notify()
            await self.storage.close(self.timeout if timeout is None else timeout)

    def discard(self) -> None:
        """Forget everything without I/O."""
        self._is_open = False
        self._upkeep.discard()
        for channel in self.channels.values():
            channel.discard()
        self.channels.clear()
        self.storage.discard()
