"""The Storage contract on Redis, by both forms."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.model.parameters import parse_url
from dulse.testing.storage_contract import StorageContract
from dulse.testing.storage_contract.deadlines import CHANGING, LOOKING
from dulse.transports.redis.aio.storage import RedisStorage as AsyncRedisStorage
from dulse.transports.redis.sync.storage import RedisStorage
from dulse.virtual.storage import Storage
from tests.servers.redis import RedisServer
from tests.virtual.storage.blocking_form import BlockingForm, Loop

_numbers = itertools.count()


class TestRedis(StorageContract):
    """Keys of its own for each case, which costs less than to empty the server."""

    @pytest.fixture(autouse=True)
    def place(self, redis_server: RedisServer) -> None:
        self.settings = settings_from(parse_url(redis_server.url), LinkOptions(), prefix=f"case {next(_numbers)} ")

    def closed(self) -> Storage:
        return RedisStorage(self.settings)

    def make_storage(self) -> Storage:
        storage = self.closed()
        storage.open(30)
        return storage

    @pytest.mark.parametrize("name", CHANGING + LOOKING)
    def test_a_call_is_tried_once_however_late_it_is(self, storage: Storage, name: str) -> None:
        call = self.calls(storage)[name]
        before = self.state(storage)

        answer = call(until=time.monotonic() - 1)

        assert (self.state(storage) != before) == (name in CHANGING), answer


@pytest.mark.slow
class TestRedisByAsyncio(TestRedis):
    """The form that the other is made of."""

    @pytest.fixture(autouse=True)
    def _loop(self) -> Iterator[None]:
        self.loop = Loop()
        yield
        self.loop.close()

    def closed(self) -> Storage:
        return BlockingForm(AsyncRedisStorage(self.settings), self.loop)
