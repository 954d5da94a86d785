"""The Storage contract on the layout that is shared with Kombu."""

from __future__ import annotations

import itertools
import math

import pytest

from dulse.broker.envelope import pack, unpack
from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.model.message import Record
from dulse.model.parameters import parse_url
from dulse.testing.storage_contract import StorageContract
from dulse.transports.redis.priorities import Priorities
from dulse.transports.redis.sync.mixed import MixedStorage
from tests.servers.redis import RedisServer

_numbers = itertools.count()


class TestMixed(StorageContract):
    """Records are envelopes, which is all that this store can write."""

    @pytest.fixture(autouse=True)
    def place(self, redis_server: RedisServer) -> None:
        self.settings = settings_from(parse_url(redis_server.url), LinkOptions(), prefix=f"case {next(_numbers)} ")

    def make_storage(self) -> MixedStorage:
        storage = MixedStorage(self.settings, Priorities((0, 1, 2, 3, 5, 7, 9, 10, 255)), math.inf)
        storage.open(30)
        return storage

    def make_payload(self, data: bytes) -> bytes:
        return pack(Record("", "", {}, data))

    def body_of(self, payload: object) -> bytes:
        assert isinstance(payload, bytes)
        return unpack(payload).body
