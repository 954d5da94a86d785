"""Looks at the queues of a virtual broker from outside, and moves messages between them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dulse import errors
from dulse.broker import refusals
from dulse.broker.catalogue import Decision, consumers_group, expiry_group, queue_group
from dulse.broker.definitions import read_queue
from dulse.broker.queues import check_access
from dulse.broker.rules import QueueRules
from dulse.broker.targets import expiration_of, priority_of, target_for
from dulse.model.inspection import QueueStatus, WaitingMessage
from dulse.model.records import Depth, Group, Guard, Leased, Peeked, Put, Token
from dulse.virtual.aio.debts import Deed
from dulse.virtual.storage import StaleTopology

if TYPE_CHECKING:
    from dulse.virtual.aio.transport import VirtualTransport

logger = logging.getLogger("dulse.virtual")

AT_ONCE = 500
"""Queues described by one look into the store."""

STEP = 100
"""Messages reserved at a time while moving: what a killed process makes others wait for."""


class VirtualManagement:
    """The Management of one transport."""

    def __init__(self, transport: VirtualTransport) -> None:
        self._transport = transport
        self._storage = transport.storage
        self._dispatch = transport.dispatch

    # ----------------------------------------------------------------------------------------------- look

    async def queues(self, names: Sequence[str] = ()) -> list[QueueStatus]:
        """Describe queues; see Management."""
        for group in await self._storage.groups(expiry_group("")):
            await self._transport.catalogue.expire(group.removeprefix(expiry_group("")))
        await self._transport.expire((await self._storage.sweep()).expired)
        prefix = queue_group("")
        wanted = names or sorted(group.removeprefix(prefix) for group in await self._storage.groups(prefix))
        found: list[QueueStatus] = []
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            groups = await self._storage.read(
                [group(name) for name in part for group in (queue_group, consumers_group)]
            )
            depths = await self._storage.depth(part)
            found += _described(zip(part, depths, strict=True), groups, skip_missing=not names)
        return found

    async def peek(self, queue: str, count: int = 1) -> list[WaitingMessage]:
        """Look at messages; see Management."""
        _check_count(count)
        if not self._storage.capabilities.peek:
            text = f"the store behind {self._transport!r} cannot show messages without taking them: get and requeue one"
            raise errors.make(errors.NotSupported, text)
        if await self._transport.catalogue.rules(queue) is None:
            raise refusals.not_found("queue", queue, "peek")
        await self._transport.expire([queue])
        return list(self._readable(queue, await self._storage.peek(queue, count)))

    def _readable(self, queue: str, records: Sequence[Peeked]) -> Iterator[WaitingMessage]:
        for payload, deliveries, age_ms, ttl_ms in records:
            try:
                record = self._dispatch.unseal(payload)
            except errors.DecodeError as damage:
                logger.warning("queue %r holds a damaged record, which is left out: %s", queue, damage)
                continue
            yield WaitingMessage(*record, deliveries, age_ms / 1000, None if ttl_ms is None else ttl_ms / 1000)

    # ----------------------------------------------------------------------------------------------- move

    async def move(self, source: str, destination: str, limit: int = 1000) -> int:
        """Move messages; see Management."""
        _check_count(limit)
        if source == destination:
            text = f"queue {source!r} is both where messages are taken from and where they are put: name another"
            raise errors.make(errors.InvalidArgument, text)
        for queue in (source, destination):
            await self._check_access(queue)
        left = limit
        if self._storage.capabilities.exact_depth:  # what comes back meanwhile is not moved in circles
            (depth,) = await self._storage.depth([source])
            left = min(limit, depth.ready)
        moving = _Moving(self._transport, destination)
        while left > 0 and not moving.is_full:
            wants = [(source, min(left, STEP))]
            leased, _ = await self._storage.reserve(wants, self._transport.owner, self._transport.lease_ms)
            if not leased:
                break
            left -= len(leased)
            await moving.carry(leased)
        if moving.is_full and not moving.moved:
            text = f"queue {destination!r} is full, so that nothing was moved to it: make room, or raise its limit"
            raise errors.make(errors.Refused, text)
        return moving.moved

    async def _check_access(self, queue: str) -> None:
        owner = self._transport.owner
        await self._transport.catalogue.carry_out(lambda view: Decision(None, check_access(view, queue, owner, "move")))


class _Moving:
    """Messages on their way to one queue: each is put there and settled in one step, if the queue is still the same."""

    def __init__(self, transport: VirtualTransport, destination: str) -> None:
        self.moved = 0
        self.is_full = False
        self._transport = transport
        self._storage = transport.storage
        self._destination = destination
        self._known: tuple[QueueRules, Guard] | None = None

    async def carry(self, records: Sequence[Leased]) -> None:
        """Move these as far as there is room; what is not moved goes back, also when this is interrupted."""
        left = deque(records)
        try:
            await self._carry_together(left)
            while left and not self.is_full:
                await self._carry_one(left[0])
                if not self.is_full:
                    left.popleft()
        finally:
            with self._transport.mutex:
                self._transport.debts.owe(left, "unhanded")
            await self._transport.debts.pay()

    async def _carry_together(self, left: deque[Leased]) -> None:
        """Move in one step all that needs no look of its own, and leave the rest."""
        rules, guard = self._known or await self._look()
        is_bounded = rules.max_length is not None or rules.max_length_bytes is not None
        if is_bounded or not self._storage.capabilities.atomic_forward:
            return
        others: list[Leased] = []
        moves: list[tuple[Token, list[Put]]] = []
        for leased in left:
            put = self._put(leased, rules)
            if put is None:
                others.append(leased)
            else:
                moves.append((leased.token, [put]))
        try:
            lost = await self._storage.forward_many(moves, self._transport.owner, [guard])
        except StaleTopology:
            self._known = None
            return
        left.clear()
        left.extend(others)
        self.moved += len(moves) - len(lost)
        self._transport.settlements.report_lost(lost)

    def _put(self, leased: Leased, rules: QueueRules) -> Put | None:
        """Give what is put at the destination; None: it has expired or cannot be read."""
        if leased.ttl_ms is not None and leased.age_ms >= leased.ttl_ms:
            return None
        try:
            record = self._transport.dispatch.unseal(leased.payload)
        except errors.DecodeError:
            return None
        # A delay, if there was one, is over: it is not waited for again.
        target = target_for(
            self._destination, rules, priority_of(record.properties), expiration_of(record.properties), 0
        )
        return Put(leased.payload, self._transport.dispatch.restrictions.fit([target]), len(record.body))

    async def _carry_one(self, leased: Leased) -> None:
        if leased.ttl_ms is not None and leased.age_ms >= leased.ttl_ms:
            await self._owe(leased, "expired")
            return
        while True:
            rules, guard = self._known or await self._look()
            put = self._put(leased, rules)
            if put is None:
                await self._owe(leased, "damaged")
                return
            if not await self._has_room(rules, put.size):
                self.is_full = True
                return
            try:
                self.moved += await self._transport.dispatch.forward(leased, put, [guard])
                return
            except StaleTopology:
                self._known = None

    async def _owe(self, leased: Leased, deed: Deed) -> None:
        with self._transport.mutex:
            self._transport.debts.owe([leased], deed)
        await self._transport.debts.pay()

    async def _look(self) -> tuple[QueueRules, Guard]:
        name = queue_group(self._destination)
        group = (await self._storage.read([name]))[name]
        definition = read_queue(group.values)
        if definition is None:
            raise refusals.not_found("queue", self._destination, "move")
        self._known = definition.rules, Guard(name, group.revision)
        return self._known

    async def _has_room(self, rules: QueueRules, size: int) -> bool:
        if rules.max_length is None and rules.max_length_bytes is None:
            return True
        (depth,) = await self._storage.depth([self._destination])
        return (rules.max_length is None or depth.ready < rules.max_length) and (
            rules.max_length_bytes is None or depth.size + size <= rules.max_length_bytes
        )


def _described(
    depths: Iterable[tuple[str, Depth]], groups: Mapping[str, Group], *, skip_missing: bool
) -> Iterator[QueueStatus]:
    for name, depth in depths:
        definition = read_queue(groups[queue_group(name)].values)
        if definition is not None:
            yield QueueStatus(
                name,
                depth.ready,
                depth.leased,
                depth.delayed,
                depth.size,
                consumers=len(groups[consumers_group(name)].values),
                durable=definition.durable,
                exclusive=definition.exclusive,
                auto_delete=definition.auto_delete,
                arguments=definition.arguments,
            )
        elif not skip_missing:
            raise refusals.not_found("queue", name, "queues")


def _check_count(count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise errors.make(errors.InvalidArgument, f"the number of messages must be at least 1, not {count!r}")
