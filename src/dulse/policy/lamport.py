"""Order without a common clock: Lamport's logical clock.

L. Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", CACM 21 (1978).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple


class timetuple(NamedTuple):  # noqa: N801 - the name Kombu's users know
    """When and where an event happened, and perhaps the event.

    Sorted by clock, by `id` where the clocks are equal, and by timestamp where a clock is unknown (0 or None).
    """

    clock: int | None
    timestamp: float
    id: str
    obj: Any = None

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        clock, timestamp, identity = other[:3]
        if not self.clock or not clock:
            return bool(self.timestamp < timestamp)
        return (self.clock, self.id) < (clock, identity)

    def __gt__(self, other: tuple[Any, ...]) -> bool:
        return timetuple(*other) < self

    def __le__(self, other: tuple[Any, ...]) -> bool:
        return not self > other

    def __ge__(self, other: tuple[Any, ...]) -> bool:
        return not self < other


class LamportClock:
    """A logical clock: a number that only grows, and overtakes each one it hears of.

    Any number of threads may use it; `mutex` may be replaced by another context manager.
    """

    def __init__(
        self,
        initial_value: int = 0,
        Lock: Callable[[], AbstractContextManager[Any]] = threading.Lock,  # noqa: N803 - the name Kombu's users know
    ) -> None:
        self.value = initial_value
        self.mutex = Lock()

    def adjust(self, other: int) -> int:
        """Hear of another clock's value: become later than both, and give the new value."""
        with self.mutex:
            value = self.value = max(self.value, other) + 1
            return value

    def forward(self) -> int:
        """Tick, for an event of one's own, and give the new value."""
        with self.mutex:
            self.value += 1
            return self.value

    def sort_heap(self, h: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Give the event of least clock, and least id among those, of events that begin with (clock, id)."""
        return min(h, key=lambda event: event[:2])

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"<LamportClock: {self.value}>"
