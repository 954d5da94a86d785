"""Waits for records without taking any: the server tells when one of the keys changes that were looked at."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from dulse import errors
from dulse.links.redis.aio.listening import Heard, ListeningLink
from dulse.links.redis.resp import ErrorReply
from dulse.links.redis.settings import Settings
from dulse.transports.redis.names import levels_key, ready_key

__all__ = ["Waiting"]

_INVALIDATE: Final = b"invalidate"
_REMEMBERED: Final = 10_000
"""Queues whose keys are remembered."""


class Waiting:
    """All waits of one store, over one connection, which is made for the first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link = self._new_link()
        self._prefix = settings.prefix
        self._keys: dict[str, tuple[str, ...]] = {}
        self._queues: dict[bytes, str] = {}
        """Whose key it is."""

    def __repr__(self) -> str:
        return f"<Waiting on {self._link!r}>"

    def open(self) -> None:
        """Begin with a connection that is yet to be made."""
        self._link = self._new_link()

    def _new_link(self) -> ListeningLink:
        return ListeningLink(self._settings)

    async def close(self, until: float) -> None:
        """End all waits."""
        self._link.wake()
        await self._link.close(until)

    def discard(self) -> None:
        """Forget the connection, which is the parent's."""
        self._link.discard()

    def wake(self) -> None:
        """End all waits; if there is none, the next."""
        self._link.wake()

    async def wait(self, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
        """Wait until one of the queues may have a ready record."""
        until = monotonic() + seconds
        wanted = frozenset(queues)
        command = ["EXISTS", *[key for queue in queues for key in self._keys_of(queue)]]
        while True:
            try:
                heard = await self._link.listen([command] if queues else [], max(0.0, until - monotonic()), _something)
            except errors.ConnectionLost:
                return None  # the next look at the queues says whether the server is there
            await self._attend(heard)
            if heard.is_woken:
                return None
            changed = self._changed(heard, wanted)
            if changed is None or changed or monotonic() >= until:
                return changed

    async def _attend(self, heard: Heard) -> None:
        """See to what was said besides invalidations: nothing, as nothing is subscribed to."""

    def _keys_of(self, queue: str) -> tuple[str, ...]:
        found = self._keys.get(queue)
        if found is None:
            if len(self._keys) >= _REMEMBERED:
                self._keys.clear()
                self._queues.clear()
            found = self._keys[queue] = self._keys_for(queue)
            for key in found:
                self._queues[key.encode()] = queue
        return found

    def _keys_for(self, queue: str) -> tuple[str, ...]:
        return ready_key(self._prefix, queue), levels_key(self._prefix, queue)

    def _changed(self, heard: Heard, wanted: frozenset[str]) -> Sequence[str] | None:
        """Name the queues that changed; None: any of them."""
        for reply in heard.replies:
            if isinstance(reply, ErrorReply):
                raise self._link.problem(reply)
        if _something(heard.replies):
            return None
        changed: dict[str, None] = {}
        for push in heard.pushes:
            if push[0] != _INVALIDATE:
                continue
            if push[1] is None:
                return None
            for key in push[1]:
                queue = self._queues.get(key)
                if queue in wanted:
                    changed[queue] = None
        return tuple(changed)


def _something(replies: Sequence[Any]) -> bool:
    return bool(replies) and (isinstance(replies[0], ErrorReply) or replies[0] > 0)
