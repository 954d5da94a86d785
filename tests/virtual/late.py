"""A real store whose answers to numbered puts come with the next barrier, as over a wire that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dulse import errors
from dulse.model.records import Guard, Problem, Put
from dulse.policy.clocks import SystemClock
from dulse.transports.memory import MemoryStorage, forget_store
from dulse.virtual.sync.transport import VirtualTransport

NAME = "late"


class LateStorage:
    """The memory store at the end of a wire: what a put sends is carried out at once, dropped, or refused unheard."""

    def __init__(self) -> None:
        self._storage: Any = MemoryStorage(NAME, SystemClock())
        self.capabilities = MemoryStorage.capabilities._replace(late_answers=True)
        self.calls: list[str] = []
        self.is_cut = False
        """Nothing gets through, in either direction."""
        self.swallows = 0
        """So many puts get lost on their way."""
        self.full = False
        """Nothing more is taken."""
        self.poison: bytes | None = None
        """A body that the store refuses."""
        self._publisher = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        """Carry out a put; with a publisher, tell nothing of it."""
        self.calls.append("put" if publisher is None else "send")
        self._check()
        if publisher is None:
            self._refuse(puts)
            problems: Sequence[Problem] = self._storage.put(puts, guards, None, park, until=until)
            return problems
        self._publisher = publisher[0]
        if self.swallows:
            self.swallows -= 1
            return None
        try:
            self._refuse(puts)
        except errors.DulseError:
            return None
        self._storage.put(puts, guards, publisher, park, until=until)
        return None

    def barrier(self, seconds: float) -> tuple[int, Sequence[Problem]]:
        """Tell the last number that was written."""
        self.calls.append("barrier")
        self._check()
        return self._storage._store.publishers.get(self._publisher, 0), ()

    def _check(self) -> None:
        if self.is_cut:
            raise errors.make(errors.ConnectionLost, "the wire is cut")

    def _refuse(self, puts: Sequence[Put]) -> None:
        if self.full:
            raise errors.make(errors.StorageFull, "no room")
        if any(put.payload.body == self.poison for put in puts):
            raise errors.make(errors.ContentTooLarge, "too much for this store")


@contextmanager
def late(**options: Any) -> Iterator[VirtualTransport]:
    """Open a transport over such a store."""
    transport: VirtualTransport | None = None
    try:
        storage: Any = LateStorage()
        transport = VirtualTransport(storage, clock=SystemClock(), lease=20.0, max_hold=None, timeout=10, **options)
        transport.open(10)
        yield transport
    finally:
        if transport is not None:
            transport.close(5)
        forget_store(NAME)
