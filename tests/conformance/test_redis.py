"""The redis transport keeps what the conformance suite asks of it, through both APIs."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from dulse.testing.conformance.suite import ConformanceSuite
from tests.servers.redis import RedisServer
from tests.servers.redis_cluster import RedisCluster


class TestRedis(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, redis_server: RedisServer) -> str:
        return redis_server.url


@pytest.mark.slow
class TestMixedFleet(ConformanceSuite):
    """On the keys that Kombu's processes use; with as many steps of priority as the cases use."""

    transport_options = MappingProxyType({"fleet": "mixed", "priority_steps": tuple(range(11))})

    @pytest.fixture
    def broker_url(self, redis_server: RedisServer) -> str:
        return redis_server.url


@pytest.mark.slow
class TestCluster(ConformanceSuite):
    """On a node of a cluster that has to be found."""

    @pytest.fixture
    def broker_url(self, redis_cluster: RedisCluster) -> str:
        return redis_cluster.url


@pytest.mark.slow
class TestShards(ConformanceSuite):
    """With the queues of a broker on three masters of a cluster."""

    transport_options = MappingProxyType({"shards": 3, "prefix": "three shards "})

    @pytest.fixture
    def broker_url(self, redis_cluster: RedisCluster) -> str:
        return redis_cluster.url
