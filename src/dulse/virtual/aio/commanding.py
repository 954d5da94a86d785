"""Carries out commands: what they change of the topology, and what that does to messages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dulse.broker.decisions import decide
from dulse.model.commands import Command, DeclareQueue, DeleteQueue, PurgeQueue, QueueDeclared

if TYPE_CHECKING:
    from dulse.virtual.aio.transport import VirtualTransport


async def carry_out(transport: VirtualTransport, command: Command, until: float) -> Any:
    """Change the topology as a command says; gives its reply."""
    unique = os.urandom(16).hex()
    transport.dispatch.restrictions.check_command(command)
    if isinstance(command, DeleteQueue | PurgeQueue):
        await transport.settlements.write(until)
    reply = await transport.catalogue.carry_out(lambda view: decide(command, view, transport.owner, unique), until)
    transport.dispatch.forget_changed()
    if isinstance(command, DeclareQueue):
        await transport.expire([reply.queue], until)
        (depth,) = await transport.storage.depth([reply.queue], until=until)
        return QueueDeclared(reply.queue, depth.ready, reply.consumer_count)
    if isinstance(command, PurgeQueue):
        await transport.expire([command.queue], until)
        return await transport.storage.purge(command.queue, until=until)
    if isinstance(command, DeleteQueue):
        transport.roster.end_all_of(command.queue)
    return reply
