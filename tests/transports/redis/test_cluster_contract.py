"""The Storage contract on a cluster: where all keys of a broker have one slot, and where they have several."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.model.parameters import parse_url
from dulse.testing.storage_contract import StorageContract
from dulse.transports.redis.aio.sharded import ShardedStorage as AsyncShardedStorage
from dulse.transports.redis.sync.sharded import ShardedStorage
from dulse.transports.redis.sync.storage import RedisStorage
from dulse.virtual.storage import Storage
from tests.servers.redis_cluster import RedisCluster
from tests.virtual.storage.blocking_form import BlockingForm, Loop

pytestmark = pytest.mark.slow

_numbers = itertools.count()


class TestCluster(StorageContract):
    """Keys, and a slot, of its own for each case."""

    @pytest.fixture(autouse=True)
    def place(self, redis_cluster: RedisCluster) -> None:
        parameters = parse_url(redis_cluster.url)
        self.settings = settings_from(parameters, LinkOptions(), prefix=f"case {next(_numbers)} ")

    def make_storage(self) -> Storage:
        storage = RedisStorage(self.settings)
        storage.open(30)
        return storage


class TestShards(TestCluster):
    """One on each of three masters."""

    def make_storage(self) -> Storage:
        storage = ShardedStorage(self.settings, 3)
        storage.open(30)
        return storage


class TestShardsByAsyncio(TestCluster):
    """The form that the other is made of."""

    @pytest.fixture(autouse=True)
    def _loop(self) -> Iterator[None]:
        self.loop = Loop()
        yield
        self.loop.close()

    def make_storage(self) -> Storage:
        storage = BlockingForm(AsyncShardedStorage(self.settings, 3), self.loop)
        storage.open(30)
        return storage
