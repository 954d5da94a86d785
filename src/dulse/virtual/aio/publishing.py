"""Puts messages into the queues they are routed to, and sends taken ones on: dead letters, drops, parked ones."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from dulse import errors
from dulse.broker.carbon_copies import has_further_keys, without_blind_copies
from dulse.broker.dead_letters import Reason, briefly, dead_letter, without_cycles
from dulse.broker.envelope import pack, unpack
from dulse.broker.restrictions import Restrictions
from dulse.broker.rules import QueueRules
from dulse.broker.targets import needs_targets, targets_for
from dulse.broker.topology import Route
from dulse.model.message import Outgoing, Record, Returned
from dulse.model.records import Guard, Leased, Problem, Put, Target, Token
from dulse.policy.clocks import Clock
from dulse.virtual.aio.catalogue import ATTEMPTS, Catalogue
from dulse.virtual.aio.pipeline import Pipeline
from dulse.virtual.storage import AsyncStorage, Move, StaleTopology

logger = logging.getLogger("dulse.virtual")

ROUTES = 10_000
"""Routes kept; beyond that the cache begins anew."""

NO_ROUTE = 312


def _needs_no_answer(message: Outgoing, prepared: tuple[Put, Route]) -> bool:
    """Tell whether nobody has to know at once what becomes of a message, and all of it would be parked."""
    _, route = prepared
    return not (message.mandatory or route.is_limited or "BCC" in (message.properties.get("headers") or {}))


def unwanted(messages: Sequence[Outgoing], puts: Sequence[Put]) -> list[Returned]:
    """Give the mandatory messages that no queue wanted."""
    return [
        Returned(NO_ROUTE, "NO_ROUTE", message.exchange, message.routing_key, message.properties, message.body)
        for message, put in zip(messages, puts, strict=True)
        if message.mandatory and not put.targets
    ]


class Dispatch:
    """Everything that writes records. One for a transport; used by all its channels, threads and duties."""

    def __init__(
        self,
        storage: AsyncStorage,
        catalogue: Catalogue,
        owner: str,
        lease_ms: int,
        clock: Clock,
        unrouted: str | None,
        drop: Callable[[Sequence[Leased], float | None], Awaitable[None]],
    ) -> None:
        self.storage = storage
        self._drop = drop
        self.routes: dict[tuple[str, str], Route] = {}
        self._catalogue = catalogue
        self._owner = owner
        self._lease_ms = lease_ms
        self._clock = clock
        self._unrouted = unrouted
        self.restrictions = Restrictions(storage.capabilities)
        self.pipeline: Pipeline | None = None
        """Where puts go whose answers nobody waits for; None: the store answers at once, or shall."""
        self._is_guarded = storage.capabilities.guarded_put
        self._forwards = storage.capabilities.atomic_forward
        objects = storage.capabilities.objects
        self.seal: Callable[[Record], object] = (lambda record: record) if objects else pack
        if self.restrictions.largest is not None:
            self.seal = self._seal_bounded
        self.unseal: Callable[[object], Record] = (lambda payload: payload) if objects else unpack  # type: ignore[assignment, return-value]

    def _seal_bounded(self, record: Record) -> object:
        payload = pack(record)
        self.restrictions.check_size(len(payload))
        return record if self.storage.capabilities.objects else payload

    async def route(self, message: Outgoing, until: float | None = None) -> Route:
        """Route a message, from the cache if its exchange looks at the routing key only."""
        key = (message.exchange, message.routing_key)
        headers = message.properties.get("headers") or {}
        route = None if has_further_keys(headers) else self.routes.get(key)
        if route is None:
            route = await self._catalogue.route(message.exchange, message.routing_key, headers, until)
            if not route.by_headers and (route.targets or self._is_guarded):
                if len(self.routes) >= ROUTES:
                    self.routes.clear()
                self.routes[key] = route
        return route

    def forget(self, message: Outgoing) -> None:
        """Drop a route that turned out to be outdated."""
        self._catalogue.forget_routing()
        self.routes.pop((message.exchange, message.routing_key), None)

    def forget_all(self) -> None:
        """Drop all routes: some are outdated, and nobody says which."""
        self._catalogue.forget_routing()
        self.routes.clear()

    def forget_unguarded(self) -> None:
        """Drop all routes if the store notices no outdated ones; called every second."""
        if not self._is_guarded:
            self.forget_all()

    def forget_changed(self) -> None:
        """Drop all routes after a change of ours, if a publish is not told at once that its route is outdated."""
        if self.pipeline is not None or not self._is_guarded:
            self.forget_all()

    async def prepare(self, message: Outgoing, until: float | None = None) -> tuple[Put, Route]:
        """Decide all about one message: where it goes, how long it lives, what is written."""
        route = await self.route(message, until)
        properties = message.properties
        targets = route.targets
        if needs_targets(properties):
            targets = self.restrictions.fit(targets_for(route.queues, properties))
        if not targets and self._unrouted is not None:
            targets = (Target(self._unrouted),)
        record = Record(message.exchange, message.routing_key, without_blind_copies(properties), message.body)
        return Put(self.seal(record), targets, len(message.body)), route

    async def publish(self, messages: Sequence[Outgoing], until: float) -> list[Returned]:
        """Publish in one step; gives the mandatory messages that no queue wanted.

        Raises Refused naming the first message that a full queue rejected; the others are stored. Where the store
        answers later, and nothing here hangs on its answer, it is not waited for.
        """
        for _ in range(ATTEMPTS):
            prepared = [await self.prepare(message, until) for message in messages]
            guards = dict.fromkeys(guard for _, route in prepared for guard in route.guards)
            if self.pipeline is not None and all(map(_needs_no_answer, messages, prepared)):
                await self.pipeline.put([put for put, _ in prepared], list(guards), messages, until)
                return []
            try:
                problems = await self.storage.put([put for put, _ in prepared], list(guards), until=until)
            except StaleTopology:
                for message in messages:
                    self.forget(message)
                continue
            if problems:
                await self.settle_problems(messages, problems, until)
            return unwanted(messages, [put for put, _ in prepared])
        text = f"the topology changed {ATTEMPTS} times in a row while we tried to publish: try again"
        raise errors.make(errors.StorageBusy, text)

    async def settle_problems(
        self, messages: Sequence[Outgoing], problems: Sequence[Problem], until: float | None = None
    ) -> None:
        """Trim queues that are over their limit; raise for the first message that was refused."""
        refused: tuple[Outgoing, str] | None = None
        for problem in problems:
            message = messages[problem.put]
            rules = dict((await self.route(message, until)).queues).get(problem.queue)
            if problem.excess_count >= 0:
                await self.trim(problem.queue, rules, until)
                continue
            refused = refused or (message, problem.queue)
            if rules is not None and rules.overflow == "reject-publish-dlx":
                record = Record(message.exchange, message.routing_key, message.properties, message.body)
                await self._publish_dead(record, problem.queue, rules, until)
        if refused is not None:
            message, queue = refused
            text = (
                f"queue {queue!r} is full and rejects what is published (exchange {message.exchange!r}, "
                f"routing key {message.routing_key!r}, {len(message.body)} bytes): consume from it or publish later"
            )
            raise errors.make(errors.Refused, text, message=message)

    async def _publish_dead(self, record: Record, queue: str, rules: QueueRules, until: float | None) -> None:
        dead = dead_letter(record, queue, rules, "maxlen", self._now_ms())
        if dead is None:
            return
        # As with RabbitMQ, a dead letter whose exchange is gone or whose queue is full as well is dropped; likewise one
        # that is too large. Its publisher is told that it was refused.
        with suppress(errors.ChannelError, errors.NotSupported, StaleTopology):
            put, route = await self._prepare_dead(dead, until)
            targets = without_cycles(dead, put.targets)
            await self.storage.put([put._replace(targets=targets)], route.guards, until=until)
            await self.enforce_limits(route, until)

    async def trim(self, queue: str, rules: QueueRules | None, until: float | None = None) -> None:
        """Take the head of a queue off until it is within its limits; what is dropped is dead-lettered.

        Where the store fails at this, the next message that is put there has it done again.
        """
        if rules is None:
            return
        count, size = rules.max_length, rules.max_length_bytes
        try:
            while leased := await self.storage.trim(queue, count, size, self._owner, self._lease_ms, until=until):
                await self._drop(leased, until)
        except errors.OperationalError as problem:
            logger.warning("queue %r is over its limit for now: %s", queue, problem)

    async def bury(self, leased: Leased, rules: QueueRules | None, reason: Reason, until: float | None = None) -> bool:
        """Send a taken record to the dead-letter exchange of its queue, or drop it; False: it was no longer ours.

        NotSupported: with what is to be told of its death, the store cannot take it; nothing was done.
        """
        dead = self._dead_letter(leased, rules, reason)
        if dead is None:
            return not await self.storage.settle([leased.token], self._owner, until=until)
        return await self._forward(leased, dead, until)

    def _dead_letter(self, leased: Leased, rules: QueueRules | None, reason: Reason) -> Record | None:
        """Make the dead letter of a taken record; None: its queue has none, so that it need not even be readable."""
        if rules is None or rules.dead_letter_exchange is None:
            return None
        return dead_letter(self.unseal(leased.payload), leased.queue, rules, reason, self._now_ms())

    async def bury_many(
        self, records: Sequence[Leased], rules: QueueRules | None, reason: Reason, until: float | None = None
    ) -> tuple[Sequence[Token], list[Leased]]:
        """Do what `bury` does for records of one queue in one step: tokens no longer ours, and what goes one by one.

        One by one goes whatever meets an obstacle, and all where moving several is no single step.
        """
        drops: list[Token] = []
        moves: list[Move] = []
        alone: list[Leased] = []
        routes: dict[int, Route] = {}
        for leased in records:
            try:
                dead = self._dead_letter(leased, rules, reason)
                if dead is None:
                    drops.append(leased.token)
                    continue
                put, route = await self._prepare_dead(dead, until)
            except (errors.ChannelError, errors.NotSupported, errors.DecodeError):
                alone.append(leased)
                continue
            moves.append((leased.token, [put._replace(targets=without_cycles(dead, put.targets))]))
            routes[id(route)] = route
        lost = list(await self.storage.settle(drops, self._owner, until=until)) if drops else []
        if moves and self._forwards:
            guards = dict.fromkeys(guard for route in routes.values() for guard in route.guards)
            try:
                lost += await self.storage.forward_many(moves, self._owner, list(guards), until=until)
            except StaleTopology:
                self.forget_all()
            else:
                for route in routes.values():
                    await self.enforce_limits(route, until)
                moves = []
        left = {token for token, _ in moves}
        return lost, alone + [leased for leased in records if leased.token in left]

    async def _forward(self, leased: Leased, dead: Record, until: float | None) -> bool:
        """Publish a dead letter in place of a taken record, in one step; False: it was no longer ours."""
        message = Outgoing(dead.body, dead.properties, dead.exchange, dead.routing_key)
        for _ in range(ATTEMPTS):
            try:
                put, route = await self._prepare_dead(dead, until)
            except errors.ChannelError:  # the exchange is gone: RabbitMQ drops the message
                return not await self.storage.settle([leased.token], self._owner, until=until)
            put = put._replace(targets=without_cycles(dead, put.targets))
            try:
                moved = await self.forward(leased, put, route.guards, until)
            except StaleTopology:
                self.forget(message)
                continue
            await self.enforce_limits(route, until)
            return moved
        text = f"the topology changed {ATTEMPTS} times in a row while we tried to forward: try again"
        raise errors.make(errors.StorageBusy, text)

    async def _prepare_dead(self, dead: Record, until: float | None) -> tuple[Put, Route]:
        """Prepare a dead letter; one too large for the store tells less of its deaths. NotSupported: it still is."""
        message = Outgoing(dead.body, dead.properties, dead.exchange, dead.routing_key)
        try:
            return await self.prepare(message, until)
        except errors.NotSupported:
            return await self.prepare(message._replace(properties=briefly(dead).properties), until)

    async def forward(self, leased: Leased, put: Put, guards: Sequence[Guard] = (), until: float | None = None) -> bool:
        """Put a record in place of a taken one; False: it was no longer ours. StaleTopology: nothing was done.

        Without the capability `atomic_forward` it is put first: killed in between, it is there twice, and never lost.
        """
        if self._forwards:
            return await self.storage.forward(leased.token, self._owner, [put], guards, until=until)
        if await self.storage.put([put.unlimited()], guards, until=until) is None:
            await self.storage.barrier(self._lease_ms / 1000)
        return not await self.storage.settle([leased.token], self._owner, until=until)

    async def enforce_limits(self, route: Route, until: float | None) -> None:
        """Trim what a forward has put over its limits (the store reports that for puts only)."""
        for queue, rules in route.queues:
            if not rules.refuses and (rules.max_length is not None or rules.max_length_bytes is not None):
                await self.trim(queue, rules, until)

    def _now_ms(self) -> int:
        return int(self._clock.time() * 1000)
