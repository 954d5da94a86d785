"""The Storage contract on Redis, by both forms."""

from __future__ import annotations

import itertools

import pytest

from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.model.parameters import parse_url
from dulse.testing.storage_contract import StorageContract
from dulse.transports.redis.sync.storage import RedisStorage
from tests.servers.redis import RedisServer

_numbers = itertools.count()


class TestRedis(StorageContract):
    """Keys of its own for each case, which costs less than to empty the server."""

    @pytest.fixture(autouse=True)
    def place(self, redis_server: RedisServer) -> None:
        self.settings = settings_from(parse_url(redis_server.url), LinkOptions(), prefix=f"case {next(_numbers)} ")

    def make_storage(self) -> RedisStorage:
        storage = RedisStorage(self.settings)
        storage.open(30)
        return storage
