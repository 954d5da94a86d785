"""Callbacks for an event of a channel, such as a mandatory message that no queue wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

OnReturn = Callable[[Exception, str, str, Any], Any]
"""Called with the error, the exchange, the routing key and the message."""


class Listeners:
    """The callbacks for one event of a channel; `changed` learns whether there are any."""

    def __init__(self, changed: Callable[[bool], None]) -> None:
        self._callbacks: dict[OnReturn, None] = {}
        self._changed = changed

    def add(self, callback: OnReturn) -> None:
        """Have `callback` called from now on; adding it again changes nothing."""
        self._callbacks[callback] = None
        self._changed(True)

    def discard(self, callback: OnReturn) -> None:
        """Call it no more; one that was never added is no error."""
        self._callbacks.pop(callback, None)
        self._changed(bool(self._callbacks))

    def __iter__(self) -> Iterator[OnReturn]:
        return iter(list(self._callbacks))

    def __contains__(self, callback: object) -> bool:
        return callback in self._callbacks

    def __len__(self) -> int:
        return len(self._callbacks)
