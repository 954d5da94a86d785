"""Records that have left every ledger and buffer of ours, and that the store still counts as ours, until it is told.

Whatever ends a delivery enters its record here in the same step, and leaves it here until the store has answered: a
call that fails or is cancelled in between loses nothing, since the keeper pays what is left.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, cast

from dulse import errors
from dulse.broker.dead_letters import Reason
from dulse.model.records import Leased, Token
from dulse.virtual.aio.parking import route_again
from dulse.virtual.aio.setting_aside import set_aside

if TYPE_CHECKING:
    from dulse.virtual.aio.transport import VirtualTransport

logger = logging.getLogger("dulse.virtual")

Deed = Literal["again", "unhanded", "damaged", "parked"] | Reason
""""again": put back, to be delivered again; "unhanded": put back, nobody was handed it; "damaged": set aside;
"parked": routed once more; a reason: dead-letter or drop."""

AT_ONCE = 100
"""Records sent on in one step at most: nobody else writes meanwhile."""


class Debts:
    """What one transport owes to its store. Threads (tasks) may pay at once; each pays other records."""

    def __init__(self, transport: VirtualTransport) -> None:
        self._transport = transport
        self._owed: list[tuple[Leased, Deed]] = []
        self._paying: dict[int, list[tuple[Leased, Deed]]] = {}
        """What is being paid, and what was when the payer was cut short."""

    def __repr__(self) -> str:
        return f"<Debts: {len(self._owed)} records>"

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, records: Iterable[Leased], deed: Deed) -> None:
        """Enter records, in the step in which they leave a ledger or a buffer; the caller holds the mutex."""
        self._owed.extend((leased, deed) for leased in records)

    def clear(self) -> None:
        """Owe nothing any more: the records are not ours; the caller holds the mutex."""
        self._owed.clear()
        self._paying.clear()

    def known(self) -> tuple[set[Token], list[list[tuple[Leased, Deed]]]]:
        """Give the tokens of all that is owed, and the parts that are being paid; the caller holds the mutex."""
        parts = list(self._paying.values())
        return {leased.token for part in [self._owed, *parts] for leased, _ in part}, parts

    def restore(self, part: list[tuple[Leased, Deed]]) -> None:
        """Owe what was being paid when that was cut short; the caller holds the mutex."""
        if self._paying.pop(id(part), None) is not None:
            self._owed.extend(part)

    async def pay(self, until: float | None = None) -> None:
        """Do what is owed. What fails is logged and done later, so that one bad record stops nothing else."""
        with self._transport.mutex:
            owed = self._owed
            self._paying[id(owed)], self._owed = owed, []  # one step: no signal's handler runs within it
        try:
            await self._put_back(owed, until)
            if len(owed) > 1:
                await self._bury_together(owed, until)
            while owed:
                await self._bury(*owed[0], until)
                owed.pop(0)
        except (errors.OperationalError, errors.ChannelError) as problem:
            owed.append(owed.pop(0))  # let others go first next time
            logger.warning("%d messages are given back or dead-lettered later: %s", len(owed), problem)
        finally:
            with self._transport.mutex:
                self.restore(owed)

    async def _put_back(self, owed: list[tuple[Leased, Deed]], until: float | None) -> None:
        """Release all that goes back to its queue, in one step for each kind."""
        unhanded = [leased for leased, deed in owed if deed == "unhanded"]
        again = [leased for leased, deed in owed if deed == "again"]
        for number, (leased, deed) in enumerate(owed):
            if deed == "again" and not await self._may_return(leased, until):
                again.remove(leased)
                owed[number] = (leased, "delivery_limit")
        storage, owner = self._transport.storage, self._transport.owner
        if unhanded:
            await storage.release([leased.token for leased in unhanded], owner, counted=False, until=until)
            owed[:] = [each for each in owed if each[1] != "unhanded"]
        if again:
            lost = await storage.release([leased.token for leased in again], owner, until=until)
            self._transport.settlements.report_lost(lost)
            owed[:] = [each for each in owed if each[1] != "again"]

    async def _may_return(self, leased: Leased, until: float | None) -> bool:
        rules = await self._transport.rules_of(leased.queue, until)
        return rules is None or rules.may_return(leased.deliveries)

    async def _bury_together(self, owed: list[tuple[Leased, Deed]], until: float | None) -> None:
        """Dead-letter or drop what left one queue for one reason in one step; leaves to `_bury` what cannot go so."""
        groups: dict[tuple[str, Reason], list[Leased]] = {}
        for leased, deed in owed:
            if deed not in {"again", "unhanded", "damaged", "parked"}:
                groups.setdefault((leased.queue, cast("Reason", deed)), []).append(leased)
        transport = self._transport
        for (queue, reason), records in groups.items():
            rules = await transport.rules_of(queue, until)
            for start in range(0, len(records), AT_ONCE):
                part = records[start : start + AT_ONCE]
                lost, alone = await transport.dispatch.bury_many(part, rules, reason, until)
                transport.settlements.report_lost(lost)
                done = {leased.token for leased in part} - {leased.token for leased in alone}
                owed[:] = [each for each in owed if each[0].token not in done]

    async def _bury(self, leased: Leased, deed: Deed, until: float | None) -> None:
        transport = self._transport
        if deed == "damaged":
            await set_aside(transport, leased, until=until)
        elif deed == "parked":
            await route_again(transport, leased, until)
        elif deed != "again" and deed != "unhanded":  # noqa: PLR1714 - mypy narrows by these only
            try:
                ours = await transport.dispatch.bury(leased, await transport.rules_of(leased.queue, until), deed, until)
            except (errors.DecodeError, errors.NotSupported) as obstacle:
                await set_aside(transport, leased, obstacle, until)
                return
            if not ours:
                transport.settlements.report_lost([leased.token])
