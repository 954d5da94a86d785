"""Finds what a call left behind that was cut short, by a signal's handler that raised or by a cancellation.

Such a call may have taken records that no buffer and no ledger knows of, or have left what was to be written. The
keeper compares what the store says we hold with what we know, twice: what is unknown both times belongs to no step that
is under way, and goes back.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from dulse.model.records import Leased, Token
from dulse.virtual.aio.debts import Deed

if TYPE_CHECKING:
    from dulse.virtual.aio.channel import VirtualChannel
    from dulse.virtual.aio.transport import VirtualTransport

logger = logging.getLogger("dulse.virtual")


class _Findings(NamedTuple):
    """What belonged to no buffer, ledger or call at one look."""

    unknown: set[Token]
    written: list[list[Token]]
    paid: list[list[tuple[Leased, Deed]]]
    unhanded: list[tuple[VirtualChannel, int]]


class Audit:
    """The looks at one transport. `wanted` is set, without any call, by whoever was cut short."""

    def __init__(self, transport: VirtualTransport) -> None:
        self._transport = transport
        self.wanted = False
        self._before: _Findings | None = None

    def __repr__(self) -> str:
        return f"<Audit {'wanted' if self.wanted or self._before else 'not needed'}>"

    async def look(self, until: float) -> bool:
        """Look, if that is needed, and give back what was found twice; True: look again in a moment."""
        before = self._before
        if before is None and not self.wanted:
            return False
        is_wanted_anew, self.wanted = self.wanted, False
        now = await self._find(until)
        if before is None:
            self._before = now
            return True
        unknown = before.unknown & now.unknown
        if unknown:
            logger.info("%d messages that an interrupted call had taken go back to their queues", len(unknown))
            await self._transport.storage.release(list(unknown), self._transport.owner, counted=False, until=until)
        self._repair(before, now)
        # What was cut short between the two looks was found once so far.
        self._before = now._replace(unknown=now.unknown - unknown) if is_wanted_anew else None
        await self._transport.debts.pay(until)
        self._transport.made_room()
        return is_wanted_anew or self.wanted

    async def _find(self, until: float) -> _Findings:
        transport = self._transport
        held = set(await transport.storage.held(transport.owner, until=until))
        with transport.mutex:
            settled, written = transport.settlements.known()
            owed, paid = transport.debts.known()
            known = {leased.token for leased in transport.intake.waiting()} | settled | owed
            unhanded = []
            for channel in transport.channels.values():
                known.update(leased.token for leased, _ in channel.ledger.entries())
                unhanded += [(channel, tag) for tag in channel.unhanded]
        return _Findings(held - known, written, paid, unhanded)

    def _repair(self, before: _Findings, now: _Findings) -> None:
        """Do again what was begun, take back what was never handed over, and count anew what consumers hold."""
        transport = self._transport
        with transport.mutex:
            for part in now.paid:
                if any(part is other for other in before.paid):
                    transport.debts.restore(part)
            for channel, tag in now.unhanded:
                if (channel, tag) in before.unhanded and tag in channel.unhanded:
                    del channel.unhanded[tag]
                    transport.debts.owe([channel.ledger.take(tag, "Basic.deliver")[0]], "unhanded")
            held: Counter[object] = Counter()
            for channel in transport.channels.values():
                windows = [window for _, window in channel.ledger.entries() if window is not None]
                held.update(windows)
                held[channel.shared] = len(windows)
            for consumer in transport.intake.consumers.values():
                consumer.window.held = held[consumer.window]
                consumer.shared.held = held[consumer.shared]
        for tokens in now.written:
            if any(tokens is other for other in before.written):
                transport.settlements.restore(tokens)
