"""The place for records that can be neither delivered nor dead-lettered: a queue, for people to look at."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.broker.decisions import decide
from dulse.broker.envelope import pack
from dulse.model.commands import DeclareQueue
from dulse.model.message import Outgoing, Record
from dulse.model.records import Leased, Put
from dulse.virtual.aio.catalogue import ATTEMPTS
from dulse.virtual.storage import StaleTopology

if TYPE_CHECKING:
    from dulse.virtual.aio.transport import VirtualTransport

logger = logging.getLogger("dulse.virtual")

SET_ASIDE = "dulse.set-aside"
"""The queue's name. It is declared, durable, when the first record is set aside."""


async def set_aside(
    transport: VirtualTransport, leased: Leased, why: object = None, until: float | None = None
) -> None:
    """Move a taken record to the queue `dulse.set-aside`, in place of where it was.

    A message stays as it is. What is none becomes the body of one, whose headers `x-set-aside-queue` and
    `x-set-aside-reason` tell where it came from and why it cannot be read.
    """
    payload, size, why = _readable(transport, leased, why)
    logger.error("a record of queue %r was set aside in queue %r: %s", leased.queue, SET_ASIDE, why)
    place = Outgoing(b"", {}, "", SET_ASIDE)
    for _ in range(ATTEMPTS):
        if await transport.catalogue.rules(SET_ASIDE, until) is None:
            declare = DeclareQueue(SET_ASIDE)
            await transport.catalogue.carry_out(lambda view: decide(declare, view, transport.owner, ""), until)  # noqa: B023
        route = await transport.dispatch.route(place, until)
        if route.targets:
            try:
                await transport.dispatch.forward(leased, Put(payload, route.targets, size), route.guards, until)
            except StaleTopology:
                transport.dispatch.forget(place)
            else:
                return
        transport.dispatch.forget(place)
    text = f"the queue {SET_ASIDE!r} was changed {ATTEMPTS} times in a row while we tried to use it: try again"
    raise errors.make(errors.StorageBusy, text)


def _readable(transport: VirtualTransport, leased: Leased, why: object) -> tuple[Any, int, object]:
    """Give the payload of a message in place of a record, its size, and why the record could go nowhere else."""
    try:
        record = transport.dispatch.unseal(leased.payload)
    except errors.DecodeError as damage:
        headers = {"x-set-aside-queue": leased.queue, "x-set-aside-reason": str(damage)}
        properties = {"content_type": "application/octet-stream", "delivery_mode": 2, "headers": headers}
        record = Record("", leased.queue, properties, leased.payload)
        return pack(record), len(record.body), damage
    return leased.payload, len(record.body), why
