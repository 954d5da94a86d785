"""Messages whose routing turned out to be outdated when nobody waited for an answer: they are routed once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dulse import errors
from dulse.model.message import Outgoing
from dulse.model.records import Leased
from dulse.virtual.aio.catalogue import ATTEMPTS
from dulse.virtual.aio.setting_aside import set_aside
from dulse.virtual.storage import StaleTopology

if TYPE_CHECKING:
    from dulse.virtual.aio.transport import VirtualTransport

_PARKED: Final = "dulse.parked."
"""How the queues of the store begin where they wait, one for each owner. They are in no catalogue."""

AT_ONCE: Final = 100
"""Parked messages routed in one go."""


def place_of(owner: str) -> str:
    """Name the queue where what an owner published is parked: it routes that again, or whoever buries it."""
    return f"{_PARKED}{owner}"


async def route_parked(transport: VirtualTransport, until: float, owner: str | None = None) -> None:
    """Send on what is parked of our own publishing, or of an owner that has died."""
    queue = place_of(owner or transport.owner)
    while True:
        try:
            found, _ = await transport.storage.reserve(
                [(queue, AT_ONCE)], transport.owner, transport.lease_ms, until=until
            )
        except BaseException:
            transport.audit.wanted = True  # nobody knows what it has taken
            raise
        if found:
            transport.dispatch.forget_all()
        with transport.mutex:
            transport.debts.owe(found, "parked")
        await transport.debts.pay(until)
        if len(found) < AT_ONCE:
            return


async def route_again(transport: VirtualTransport, leased: Leased, until: float | None) -> None:
    """Put one parked message into the queues it belongs to by now, in one step."""
    dispatch = transport.dispatch
    try:
        record = dispatch.unseal(leased.payload)
    except errors.DecodeError:
        await set_aside(transport, leased, until=until)
        return
    message = Outgoing(record.body, record.properties, record.exchange, record.routing_key)
    for _ in range(ATTEMPTS):
        try:
            put, route = await dispatch.prepare(message, until)
        except errors.ChannelError as refused:  # its exchange is gone
            await _refuse(transport, leased, message, refused, until)
            return
        try:
            await dispatch.forward(leased, put, route.guards, until)
        except StaleTopology:
            dispatch.forget(message)
            continue
        await dispatch.enforce_limits(route, until)
        return
    text = f"the topology changed {ATTEMPTS} times in a row while we tried to route a parked message: try again"
    raise errors.make(errors.StorageBusy, text)


async def _refuse(
    transport: VirtualTransport, leased: Leased, message: Outgoing, refused: Exception, until: float | None
) -> None:
    """Tell our own program that a message went nowhere; keep that of another, which can be told no more."""
    pipeline = transport.dispatch.pipeline
    if pipeline is None or leased.queue != place_of(transport.owner):
        await set_aside(transport, leased, refused, until)
    elif not await transport.storage.settle([leased.token], transport.owner, until=until):
        pipeline.tell_of(message, refused)
