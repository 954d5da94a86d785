"""Short words for the tests of the memory store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dulse.model.message import Record
from dulse.model.records import Leased, Put, Target
from dulse.policy.clocks import Clock, SystemClock
from dulse.transports.memory import MemoryStorage

LONG = 600.0


def opened(name: str = "a", clock: Clock | None = None) -> MemoryStorage:
    storage = MemoryStorage(name, clock or SystemClock())
    storage.open(1)
    return storage


def put(storage: MemoryStorage, *bodies: bytes, queue: str = "q", **numbers: Any) -> None:
    storage.put([Put(Record("", "", {}, body), [Target(queue, **numbers)]) for body in bodies])


def take(storage: MemoryStorage, count: int = 1000, owner: str = "owner") -> Sequence[Leased]:
    return storage.reserve([("q", count)], owner, 1000)[0]


def bodies(leased: Sequence[Leased]) -> list[bytes]:
    return [record.payload.body for record in leased]
