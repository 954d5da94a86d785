"""The redis transport keeps what the conformance suite asks of it, through both APIs."""

from __future__ import annotations

import pytest

from dulse.testing.conformance.suite import ConformanceSuite
from tests.servers.redis import RedisServer


class TestRedis(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, redis_server: RedisServer) -> str:
        return redis_server.url
