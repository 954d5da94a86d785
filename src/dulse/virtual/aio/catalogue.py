"""Carries out what `dulse.broker` decides about exchanges, queues and consumers on a store's catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dulse import errors
from dulse.broker.catalogue import Decision, NeedDepth, NeedGroups, View
from dulse.broker.topology import Indexes, Route, resolve
from dulse.model.records import Depth, Group
from dulse.virtual.storage import AsyncStorage

T = TypeVar("T")

ATTEMPTS = 200
"""Lost races against other processes before we give up: each means that somebody else got on."""


class Catalogue:
    """The topology in a store, read and changed by compare-and-set. Holds no state but the routing indexes."""

    def __init__(self, storage: AsyncStorage) -> None:
        self._storage = storage
        self._indexes = Indexes()

    async def carry_out(self, decide: Callable[[View], Decision]) -> Any:
        """Decide on what the store holds, write the decision, begin anew if it changed meanwhile; gives the reply."""
        for _ in range(ATTEMPTS):
            decision = await self._informed(decide)
            change = decision.change
            if change is None:
                return decision.reply
            if await self._storage.change(*change[:3], only_empty=change.only_empty):
                return decision.reply
        text = f"the topology was changed by others {ATTEMPTS} times in a row while we tried to change it: try again"
        raise errors.make(errors.StorageBusy, text)

    async def route(self, exchange: str, routing_key: str, headers: Mapping[str, Any]) -> Route:
        """Find the queues that a message reaches, and the guards that tell whether this is still so."""
        return await self._informed(lambda view: resolve(view, self._indexes, exchange, routing_key, headers))

    async def _informed(self, decide: Callable[[View], T]) -> T:
        """Call `decide` with ever more of the catalogue read, until it has all it asks for."""
        known: dict[str, Group] = {}
        depths: dict[str, Depth] = {}
        while True:
            try:
                return decide(View(known, depths))
            except NeedGroups as need:
                known.update(await self._storage.read(sorted(need.names)))
            except NeedDepth as need:
                (depths[need.queue],) = await self._storage.depth([need.queue])
