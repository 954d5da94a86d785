"""How large a record the server takes: whoever sends it a larger one loses the connection, and is not told why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dulse import errors
from dulse.links.redis.aio.link import RedisLink
from dulse.model.records import Put

__all__ = ["ALWAYS_TAKEN", "Sizes"]

ALWAYS_TAKEN: Final = 1 << 20
"""Bytes: neither of the settings can be less."""

_SETTINGS: Final = ("proto-max-bulk-len", "client-query-buffer-limit")
_NO_LIMIT: Final = (1 << 62, "")


class Sizes:
    """Asks the server once, when the first large record is to be written."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._limit: tuple[int, str] | None = None
        """Bytes, and the setting that says so."""

    def __repr__(self) -> str:
        return f"<Sizes of {self._link!r}: {self._limit}>"

    async def check(self, puts: Sequence[Put], until: float | None) -> None:
        """Raise NotSupported for a record that is too large. Where the user may not see the settings, none is."""
        limit, setting = self._limit = self._limit or await self._ask(until)
        for put in puts:
            size = len(put.payload)
            if size > limit:
                text = (
                    f"the message takes {size} bytes with its headers, and Redis at {self._link.settings} takes "
                    f"{limit} at most ({setting}): raise that, or keep the content elsewhere and send its name"
                )
                raise errors.make(errors.NotSupported, text)

    async def _ask(self, until: float | None) -> tuple[int, str]:
        replies = await self._link.pipeline([("CONFIG", "GET", name) for name in _SETTINGS], until)
        found = [reply for reply in replies if isinstance(reply, dict)]
        limits = [(int(value), name.decode()) for settings in found for name, value in settings.items()]
        return min(limits, default=_NO_LIMIT)
