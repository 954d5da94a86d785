"""A real store that can do less, and says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dulse.broker.envelope import pack
from dulse.model.records import Depth, Guard, Peeked, Problem, Put
from dulse.policy.clocks import SystemClock
from dulse.transports.memory import MemoryStorage, forget_store
from dulse.virtual.sync.transport import VirtualTransport

NAME = "lesser"


class LesserStorage:
    """The memory store, without all that is not declared; `misuses` tells what was asked of it nevertheless."""

    def __init__(self, **declared: Any) -> None:
        self._storage: Any = MemoryStorage(NAME, SystemClock())
        self.capabilities = MemoryStorage.capabilities._replace(**declared)
        self.misuses: list[str] = []
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def _check(self, put: Put) -> None:
        able = self.capabilities
        if able.max_record is not None and len(pack(put.payload)) > able.max_record:
            self.misuses.append(f"a record of {len(pack(put.payload))} bytes")
        for target in put.targets:
            if able.max_delay is not None and target.delay_ms > able.max_delay * 1000:
                self.misuses.append(f"a delay of {target.delay_ms} ms")
            if target.priority > able.priorities:
                self.misuses.append(f"priority {target.priority}")

    def put(self, puts: Sequence[Put], guards: Sequence[Guard] = (), *rest: Any, **named: Any) -> Sequence[Problem]:
        """Put, whatever the topology has become."""
        self.calls.append("put")
        for put in puts:
            self._check(put)
        problems: Sequence[Problem] = self._storage.put(
            puts, guards if self.capabilities.guarded_put else (), *rest, **named
        )
        return problems

    def settle(self, *arguments: Any, **named: Any) -> Any:
        """Settle, and note it."""
        self.calls.append("settle")
        return self._storage.settle(*arguments, **named)

    def forward(self, token: Any, owner: str, puts: Sequence[Put], *rest: Any, **named: Any) -> bool:
        """Move in one step, if this store can."""
        self.calls.append("forward")
        for put in puts:
            self._check(put)
        if not self.capabilities.atomic_forward:
            self.misuses.append("a forward")
        done: bool = self._storage.forward(token, owner, puts, *rest, **named)
        return done

    def depth(self, queues: Sequence[str], **named: Any) -> Sequence[Depth]:
        """Count, or guess."""
        found: Sequence[Depth] = self._storage.depth(queues, **named)
        return found if self.capabilities.exact_depth else [each._replace(ready=each.ready // 2) for each in found]

    def peek(self, queue: str, count: int, **named: Any) -> Sequence[Peeked]:
        """Look, if this store can."""
        if not self.capabilities.peek:
            self.misuses.append("a peek")
        seen: Sequence[Peeked] = self._storage.peek(queue, count, **named)
        return seen


@contextmanager
def lesser(lease: float = 20.0, max_hold: float | None = None, **declared: Any) -> Iterator[VirtualTransport]:
    """Open a transport over a store that can do no more than declared; nothing else may have been asked of it."""
    storage = LesserStorage(**declared)
    try:
        transport = VirtualTransport(
            storage,
            clock=SystemClock(),
            lease=lease,
            max_hold=max_hold,
            timeout=10,
        )
        transport.open(5)
        try:
            yield transport
        finally:
            transport.close(5)
    finally:
        forget_store(NAME)
    assert storage.misuses == []
