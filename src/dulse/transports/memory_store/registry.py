"""The memory stores of this process by name."""

from __future__ import annotations

import os
import threading
import weakref

from dulse import errors
from dulse.policy.clocks import Clock, SystemClock
from dulse.transports.memory_store.store import MemoryStore


class _Registry:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named: dict[str, MemoryStore] = {}
        self._every: weakref.WeakSet[MemoryStore] = weakref.WeakSet()

    def find(self, name: str, clock: Clock) -> MemoryStore:
        """Give the store of a name; the first who asks for it gives it its clock."""
        with self._lock:
            store = self._named.get(name)
            if store is None:
                store = self._named[name] = MemoryStore(name, clock)
                self._every.add(store)
        if store.clock is clock or (isinstance(store.clock, SystemClock) and isinstance(clock, SystemClock)):
            return store
        text = (
            f"memory store {name!r} runs on {store.clock!r}, not on {clock!r}: use another name, or forget_store() it"
        )
        raise errors.make(errors.InvalidArgument, text)

    def forget(self, name: str) -> None:
        """Let the next who opens this name find it empty; whoever has it open keeps the old one."""
        with self._lock:
            self._named.pop(name, None)

    def begin_child(self) -> None:
        """Empty all stores in a forked child: its copies of the parent's records are not its own."""
        self._lock = threading.Lock()
        for store in self._every:
            store.begin()


_registry = _Registry()
find_store = _registry.find
forget_store = _registry.forget

if hasattr(os, "register_at_fork"):  # where there is no fork, there is no child
    os.register_at_fork(after_in_child=_registry.begin_child)
