"""What a broker does by itself, done by every connected process: leases, expiry, delays, burials, late settling.

One duty of the keeper for each transport; idle, it costs a few small queries a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from dulse import errors
from dulse.broker.burial import decide_burial
from dulse.broker.catalogue import DEFINITION, consumers_group, expiry_group, queue_group
from dulse.links.waiting.aio import keeper
from dulse.virtual.aio.closing import end_leftovers
from dulse.virtual.aio.parking import route_parked

if TYPE_CHECKING:
    from dulse.virtual.aio.transport import VirtualTransport

logger = logging.getLogger("dulse.virtual")

SETTLE_WITHIN = 0.010
"""Seconds after which settled deliveries are written although nobody drains."""

ANSWER_WITHIN = 0.010
"""Seconds after which the answers to what was published are read although nobody publishes more."""

ANSWER_FOR = 1.0
"""Seconds that this may take: meanwhile publishers wait."""

LOOK_EVERY = 1.0
"""Seconds between two looks at what other processes may have changed."""

LOOK_AGAIN = 0.3
"""Seconds between the two looks of an audit: steps that are under way at the first are over at the second."""

AT_ONCE = 100
"""Expired records sent on in one go."""

LONGEST_RUN = 5.0
"""Seconds that may pass at once with what is due, at most; a third of the lease if that is less."""

RENEW_AGAIN = 0.25
"""Seconds after which a renewal that failed is tried again, at most; a tenth of the lease if that is less."""

SUSPECT = 0.5
"""Seconds for which an owner must have been seen dead: where the store slept all owners look dead until they renew."""

LONG_DEAD = 1.0
"""Seconds past its time after which an owner is buried by whoever sees it first, and be that a program of one call."""

NEVER = float("inf")


class Upkeep:
    """The duty of one transport, and what `drain` needs of it at once."""

    def __init__(self, transport: VirtualTransport, lease: float, max_hold: float | None) -> None:
        self._transport = transport
        self._storage = transport.storage
        self._lease_ms = int(lease * 1000)
        self._renew_every = min(5.0, lease / 4)
        self._limit = min(LONGEST_RUN, lease / 3)
        self._max_hold = max_hold
        self._settle_at = NEVER
        self._answer_at = NEVER
        self._renew_at = 0.0
        self._look_at = 0.0
        self._promote_at = 0.0
        self._bury_at = 0.0
        self._suspects: dict[str, float] = {}
        self.trusted_until = 0.0
        """Until then (time.monotonic()) what was taken ahead is surely still ours."""
        self._has_died = False
        """We were declared dead once: what is settled late may be from before."""
        self._revisions: dict[str, object] = {}
        self._expiries: dict[str, tuple[object, int]] = {}

    async def start(self, until: float) -> None:
        """Begin: from now on the keeper calls `run` whenever something is due.

        The owner is made known before it holds anything, so that its death will be noticed at any moment.
        """
        await self.renew(until)
        now = time.monotonic()
        self._look_at = now + LOOK_EVERY
        try:  # at once, or those who never stay for long would never get what the dead held
            soon = min(until, now + self._limit)
            await end_leftovers(self._transport, soon)
            await self._bury_the_dead(soon)
        except errors.StorageBusy as busy:
            logger.info("what processes held that have died is given to others a little later: %s", busy)
        await keeper().add(self)

    async def stop(self, until: float) -> None:
        """End; a run under way is awaited."""
        await keeper().remove(self, max(0.0, until - time.monotonic()))

    def settle_soon(self) -> None:
        """Something was settled: write it within milliseconds, unless somebody does it before."""
        if self._settle_at == NEVER:
            self._settle_at = time.monotonic() + SETTLE_WITHIN
            keeper().hint(self)

    def answer_soon(self) -> None:
        """Something was published and not answered: read the answer within milliseconds, unless others do."""
        if self._answer_at == NEVER:
            self._answer_at = time.monotonic() + ANSWER_WITHIN
            keeper().hint(self)

    def may_have_died(self) -> bool:
        """Tell whether our lease may have ended since the transport was opened."""
        return self._has_died or time.monotonic() > self.trusted_until

    def next_due(self, limit: float) -> float:
        """Seconds until a delayed record becomes ready or one expires, at most `limit`."""
        return max(0.0, min(limit, self._promote_at - time.monotonic()))

    # --------------------------------------------------------------------------------------------- the duty

    def due(self) -> float:
        """When `run` is to be called next, on time.monotonic()."""
        return min(self._settle_at, self._answer_at, self._renew_at, self._look_at, self._promote_at, self._bury_at)

    async def run(self) -> None:
        """Do what is due: the renewal first, since all else may be late."""
        now = time.monotonic()
        until = now + self._limit
        if now >= self._renew_at:
            await self._renew_in_time(until)
        if now >= self._settle_at:
            self._settle_at = NEVER
            await self._transport.settlements.write(until)
        if now >= self._answer_at:
            await self._read_answers(min(until, now + ANSWER_FOR))
        if now >= self._promote_at:
            await self.promote(until)
        if now >= self._bury_at:
            await self._bury_the_dead(until)
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            await self._look(until)
            if await self._transport.audit.look(until):
                self._look_at = time.monotonic() + LOOK_AGAIN

    async def _read_answers(self, until: float) -> None:
        """Have what was published answered; where the store cannot be reached, again in a while."""
        pipeline = self._transport.dispatch.pipeline
        self._answer_at = NEVER
        if pipeline is None:
            return
        try:
            await pipeline.answer(until)
            await route_parked(self._transport, until)
        except errors.OperationalError as problem:
            self._answer_at = time.monotonic() + LOOK_EVERY
            text = "%d publishes are not confirmed yet, which is waited for: %s"
            logger.warning(text, pipeline.unanswered, problem)

    async def _renew_in_time(self, until: float) -> None:
        """Renew, and soon again where that fails: the lease goes on while we wait."""
        try:
            await self.renew(until)
        except errors.OperationalError as problem:
            self._renew_at = time.monotonic() + min(RENEW_AGAIN, self._lease_ms / 10_000)
            logger.warning("the lease of this process could not be renewed, which is tried again: %s", problem)

    async def renew(self, until: float | None = None) -> None:
        """Keep what we hold; where it is too late, forget what was taken ahead, and make our consumers known again."""
        begun = time.monotonic()
        self._renew_at = begun + self._renew_every
        known = await self._storage.renew(self._transport.owner, self._lease_ms, until=until)
        self.trusted_until = begun + self._lease_ms / 1000
        if not known:
            self._has_died = True
            self._transport.forget_taken()
            self._revisions.clear()
            for queue in self._transport.intake.queues():
                await self._transport.roster.claim_again(queue, until)
            logger.error(
                "this process was declared dead, since it did not renew its lease of %.1f s in time: what it held "
                "was given to others, and its late acknowledgements will be refused",
                self._lease_ms / 1000,
            )

    async def _look(self, until: float) -> None:
        self._transport.dispatch.forget_unguarded()
        await self.look_at_consumers(until)
        await self.promote(until)
        if self._transport.dispatch.pipeline is not None:
            await route_parked(self._transport, until)
        await self._expire_queues(until)
        if self._transport.debts:
            await self._transport.debts.pay(until)
        if self._max_hold is not None:
            for channel in list(self._transport.channels.values()):
                await channel.end_if_held_longer(self._max_hold, time.monotonic())

    # -------------------------------------------------------------------------------------------- consumers

    async def look_at_consumers(self, until: float | None = None) -> None:
        """Notice that a queue we consume is gone, or that another of its consumers is the active one now."""
        intake = self._transport.intake
        queues = intake.queues()
        single = [queue for queue in queues if (rules := intake.rules(queue)) and rules.single_active_consumer]
        if not queues:
            return
        names = [queue_group(queue) for queue in queues] + [consumers_group(queue) for queue in single]
        found = dict(zip(names, await self._storage.revisions(names, until=until), strict=True))
        for queue in queues:
            name = queue_group(queue)
            if not found[name]:
                self._transport.roster.end_all_of(queue)
            elif found[name] != self._revisions.setdefault(name, found[name]):
                await self._transport.roster.claim_again(queue, until)  # bound anew, or another queue of the same name
                self._revisions[name] = found[name]
        for queue in single:
            name = consumers_group(queue)
            if found[name] != self._revisions.get(name):
                await self._transport.roster.activate(queue, until)
                self._revisions[name] = found[name]  # not before: what fails is done again at the next look

    # ------------------------------------------------------------------------------------------------- time

    async def promote(self, until: float | None = None) -> bool:
        """Make delayed records ready whose time has come, send on expired ones; True: some became ready."""
        swept = await self._storage.sweep(until=until)
        self._promote_at = NEVER if swept.next_due is None else time.monotonic() + swept.next_due
        await self.expire(swept.expired, until)
        return bool(swept.promoted)

    async def expire(self, queues: Sequence[str], until: float | None = None) -> None:
        """Send on the records of these queues that have outlived their time to live.

        Whoever waits for a queue may have what was put just now, though its time to live is 0, and sends on the rest.
        """
        for queue in queues:
            with self._transport.mutex:
                is_awaited = self._transport.is_fetching and self._transport.intake.has_room(queue)
            if is_awaited:
                self._promote_at = min(self._promote_at, time.monotonic() + LOOK_EVERY)
                continue
            try:
                expired = await self._storage.reserve_expired(
                    queue, AT_ONCE, self._transport.owner, self._lease_ms, until=until
                )
            except BaseException:
                self._transport.audit.wanted = True  # nobody knows what it has taken
                raise
            if len(expired) == AT_ONCE:
                self._promote_at = 0.0  # the rest in a moment: nobody's deadline shall wait for all of it
            with self._transport.mutex:
                self._transport.debts.owe(expired, "expired")
        await self._transport.debts.pay(until)

    async def _expire_queues(self, until: float) -> None:
        """Delete queues that nobody has used for as long as they said."""
        found = await self._storage.groups(expiry_group(""), until=until)
        new = [name for name, (revision, _) in found.items() if self._expiries.get(name, (0, 0))[0] != revision]
        if new:
            for name, group in (await self._storage.read(new, until=until)).items():
                self._expiries[name] = (group.revision, int(group.values.get(DEFINITION, "0")))
        for name, (revision, age_ms) in found.items():
            known, expires_ms = self._expiries[name]
            if known == revision and age_ms >= expires_ms:
                queue = name.removeprefix(expiry_group(""))
                await self._transport.catalogue.expire(queue, until)
        self._expiries = {name: value for name, value in self._expiries.items() if name in found}

    # ------------------------------------------------------------------------------------------------- death

    async def _bury_the_dead(self, until: float) -> None:
        """End what dead owners held: consumers and exclusive queues first, then their records go back."""
        owners, seconds = await self._storage.dead_owners(until=until)
        now = time.monotonic()
        patience = min(SUSPECT, self._lease_ms / 4000)
        self._suspects = {owner: self._suspects.get(owner, now) for owner in owners}
        for owner, since in self._suspects.items():
            if now - since >= patience or owners[owner] >= LONG_DEAD:
                await self._bury(owner, until)
        pause = patience if owners else LOOK_EVERY  # leases shorter than ours may begin at any time
        self._bury_at = time.monotonic() + max(0.01, min(seconds or NEVER, pause))

    async def _bury(self, owner: str, until: float) -> None:
        """Give back what one dead owner held; one that lives after all keeps everything."""
        if owner == self._transport.owner:
            return
        logger.warning("the process of owner %s has died: what it held is given to others", owner)
        decide = partial(decide_burial, owner=owner)
        if await self._transport.catalogue.carry_out_if_dead(decide, owner, until):
            if self._storage.capabilities.late_answers:  # before nobody knows the owner any more, were we killed
                await route_parked(self._transport, until, owner)
            while await self._storage.forget(owner, until=until):
                pass
