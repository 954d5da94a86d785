"""What a transport does at its end: what it published is stored by then, and what it held goes back."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from dulse.broker.burial import decide_burial
from dulse.virtual import leftovers
from dulse.virtual.aio.parking import route_parked

if TYPE_CHECKING:
    from dulse.virtual.aio.transport import VirtualTransport


async def end_publishing(transport: VirtualTransport, until: float) -> None:
    """Wait until all that was published is stored; half of the time is left for what follows."""
    if transport.dispatch.pipeline is not None:
        now = time.monotonic()
        await transport.dispatch.pipeline.end(now + (until - now) / 2)
        await route_parked(transport, until)
        transport.dispatch.pipeline.raise_problems()


async def give_everything_back(transport: VirtualTransport, until: float) -> None:
    """Leave nothing in the store that is ours: deliveries, consumers, exclusive queues, the owner."""
    try:
        for channel in list(transport.channels.values()):
            await channel.end(until)
        with transport.mutex:
            transport.debts.owe(transport.intake.empty(), "unhanded")
        await transport.settlements.write(until)
        await transport.debts.pay(until)
        await transport.catalogue.end(partial(decide_burial, owner=transport.owner), until)
        await _forget(transport, transport.owner, until)
    except BaseException:
        leftovers.add(transport.place, transport.owner)
        raise


async def end_leftovers(transport: VirtualTransport, until: float) -> None:
    """End the owners of this process of which closing could not."""
    for owner in leftovers.owners_at(transport.place):
        await transport.catalogue.carry_out(partial(decide_burial, owner=owner), until)
        if transport.capabilities.late_answers:
            await route_parked(transport, until, owner)
        await _forget(transport, owner, until)
        leftovers.discard(transport.place, owner)


async def _forget(transport: VirtualTransport, owner: str, until: float) -> None:
    while await transport.storage.forget(owner, force=True, until=until):
        pass
