"""The Storage contract on a cluster: all keys of a broker have one slot, each broker its own."""

from __future__ import annotations

import itertools

import pytest

from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.model.parameters import parse_url
from dulse.testing.storage_contract import StorageContract
from dulse.transports.redis.sync.storage import RedisStorage
from tests.servers.redis_cluster import RedisCluster

pytestmark = pytest.mark.slow

_numbers = itertools.count()


class TestCluster(StorageContract):
    """Keys, and a slot, of its own for each case."""

    @pytest.fixture(autouse=True)
    def place(self, redis_cluster: RedisCluster) -> None:
        parameters = parse_url(redis_cluster.url)
        self.settings = settings_from(parameters, LinkOptions(), prefix=f"case {next(_numbers)} ")

    def make_storage(self) -> RedisStorage:
        storage = RedisStorage(self.settings)
        storage.open(30)
        return storage
