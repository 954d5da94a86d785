"""The memory store keeps the Storage contract, on a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dulse.model.message import Record
from dulse.model.records import Payload
from dulse.policy.clocks import VirtualClock
from dulse.testing.storage_contract import StorageContract
from dulse.transports.memory import MemoryStorage, forget_store


class TestMemory(StorageContract):
    @pytest.fixture(autouse=True)
    def _place(self) -> Iterator[None]:
        self.clock = VirtualClock()
        self.name = "contract"
        yield
        forget_store(self.name)

    def make_storage(self) -> MemoryStorage:
        storage = MemoryStorage(self.name, self.clock)
        storage.open(10)
        return storage

    def clock_advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def make_payload(self, body: bytes) -> Payload:
        return Record("", "", {}, body)

    def body_of(self, payload: Payload) -> bytes:
        assert isinstance(payload, Record)
        return payload.body
