"""Finds deliveries that were handed out long ago, without noting a time for each of them."""

from __future__ import annotations

from collections import deque
from typing import Any

from dulse.broker.ledger import Ledger


class Marks:
    """The last delivery tag at each of the looks at one ledger."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def __repr__(self) -> str:
        return f"<Marks of {len(self._marks)} looks>"

    def overdue(self, ledger: Ledger[Any], seconds: float, now: float) -> int | None:
        """Give the tag of the oldest delivery if it was there at a look so many seconds ago, and take this look."""
        self._marks.append((now, ledger.last_tag()))
        overdue = 0
        while self._marks and now - self._marks[0][0] > seconds:
            overdue = self._marks.popleft()[1]
        oldest = ledger.oldest_tag()
        return oldest if oldest is not None and oldest <= overdue else None
