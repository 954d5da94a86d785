"""Declaring what a Connection has not declared yet."""

from __future__ import annotations

from collections.abc import Container, Hashable
from typing import Any

from dulse.aio.bound import ChannelBound
from dulse.aio.contracts import Anchor
from dulse.model.entities import ExchangeDescription, QueueDescription
from dulse.model.mistakes import mistaken


def is_declared(entity: ExchangeDescription | QueueDescription, known: Container[Hashable]) -> bool:
    """Tell whether it has been declared, as it is now, and must be there still."""
    return entity.can_cache_declaration and entity.declaration_key() in known


async def declare_once(entity: ExchangeDescription | QueueDescription, channel: Anchor) -> bool:
    """Declare an exchange or queue unless this Connection has done so since it connected; True: it was done now.

    An entity that may vanish by itself (auto_delete, expires) is declared each time. A queue without a name gets the
    one that the broker made up.
    """
    if not isinstance(entity, ExchangeDescription | QueueDescription):
        raise mistaken("what is to be declared", entity, "an exchange or queue")
    target = await channel.default_channel
    known = target.client.declared_entities
    if is_declared(entity, known):
        return False
    twin: Any = entity if isinstance(entity, ChannelBound) else target.adopt(entity)
    await twin.declare(channel=target)
    entity.name = twin.name
    if entity.can_cache_declaration:
        known.add(entity.declaration_key())
    return True
