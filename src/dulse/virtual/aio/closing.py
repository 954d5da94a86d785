"""What a transport does at its end: what it published is stored by then, and what it held goes back."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from dulse.broker.burial import decide_burial
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
    for channel in list(transport.channels.values()):
        await channel.end(until)
    with transport.mutex:
        transport.debts.owe(transport.intake.empty(), "unhanded")
    await transport.settlements.write(until)
    await transport.debts.pay(until)
    await transport.catalogue.end(partial(decide_burial, owner=transport.owner), until)
    while await transport.storage.forget(transport.owner, force=True, until=until):
        pass
