"""The memory store keeps the Storage contract in each of its forms, on a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from dulse.model.message import Record
from dulse.model.records import Payload
from dulse.policy.clocks import VirtualClock
from dulse.testing.storage_contract import StorageContract
from dulse.transports.memory import MemoryStorage, forget_store
from dulse.virtual.immediate import ImmediateStorage
from dulse.virtual.storage import Storage
from dulse.virtual.threaded import ThreadedStorage
from tests.virtual.storage.blocking_form import BlockingForm, Loop


class OnMemory(StorageContract):
    @pytest.fixture(autouse=True)
    def _place(self) -> Iterator[None]:
        self.clock = VirtualClock()
        self.name = uuid4().hex
        yield
        forget_store(self.name)

    def closed(self) -> Storage:
        return MemoryStorage(self.name, self.clock)

    def make_storage(self) -> Storage:
        storage = self.closed()
        storage.open(10)
        return storage

    def clock_advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def make_payload(self, body: bytes) -> Payload:
        return Record("", "", {}, body)

    def body_of(self, payload: Payload) -> bytes:
        assert isinstance(payload, Record)
        return payload.body


class TestMemory(OnMemory):
    pass


class TestMemoryWithoutThreads(OnMemory):
    @pytest.fixture(autouse=True)
    def _loop(self) -> Iterator[None]:
        self.loop = Loop()
        yield
        self.loop.close()

    def closed(self) -> Storage:
        return BlockingForm(ImmediateStorage(MemoryStorage(self.name, self.clock)), self.loop)


class TestMemoryInThreads(OnMemory):
    @pytest.fixture(autouse=True)
    def _loop(self) -> Iterator[None]:
        self.loop = Loop()
        yield
        self.loop.close()

    def closed(self) -> Storage:
        return BlockingForm(ThreadedStorage(MemoryStorage(self.name, self.clock)), self.loop)
