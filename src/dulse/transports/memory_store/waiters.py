"""Who waits for which queues of a memory store."""

from __future__ import annotations

from collections.abc import Sequence

from dulse.virtual.arming import Notify


class Waiter:
    """Somebody who wants to hear of some queues; `notify` is called once for each of them at most."""

    __slots__ = ("notify", "queues")

    def __init__(self, queues: Sequence[str], notify: Notify) -> None:
        self.queues = queues
        self.notify = notify


class Waiters:
    """Not locked, but for `tell_all`: the store holds its lock around every other use."""

    __slots__ = ("_all", "by_queue")

    def __init__(self) -> None:
        self.by_queue: dict[str, dict[Waiter, None]] = {}
        """Looked into by every put."""
        self._all: dict[Waiter, None] = {}

    def add(self, waiter: Waiter) -> None:
        """Let somebody hear of his queues from now on."""
        self._all[waiter] = None
        for name in waiter.queues:
            self.by_queue.setdefault(name, {})[waiter] = None

    def remove(self, waiter: Waiter) -> None:
        """Let somebody hear nothing more."""
        self._all.pop(waiter, None)
        for name in waiter.queues:
            others = self.by_queue.get(name)
            if others is not None:
                others.pop(waiter, None)
                if not others:
                    del self.by_queue[name]

    def tell(self, name: str) -> None:
        """Tell whoever waits for this queue; he hears of it only once."""
        for waiter in self.by_queue.pop(name, ()):
            waiter.notify((name,))

    def tell_all(self) -> None:
        """Tell everybody that anything may have changed; takes no lock, as the collector may call it anywhere."""
        for waiter in list(self._all):
            waiter.notify(None)
