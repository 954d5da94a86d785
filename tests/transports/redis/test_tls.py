"""TLS to sentinels, to the master that they name, and to all nodes of a cluster: verified, also after a fail-over."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import Connection, errors
from dulse.links.redis.slots import tagged
from tests.servers.authority import Authority
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import RedisSentinels
from tests.transports.redis.test_failover import check

pytestmark = pytest.mark.kill


def distrusts(url: str, options: dict[str, Any]) -> None:
    """A client that does not know the authority gets in nowhere."""
    given = {**options, "ssl": True, "answer_timeout": 3, "connect_timeout": 3}
    with pytest.raises(errors.OperationalError, match="certificate"), Connection(url, transport_options=given) as made:
        made.connect()


def test_sentinels_and_their_masters_speak_tls(tls_redis_sentinels: RedisSentinels, authority: Authority) -> None:
    options = {"master_name": tls_redis_sentinels.name, "ssl": {"ca_certs": str(authority.certificate)}}

    check(tls_redis_sentinels.tls_url, options, lambda: tls_redis_sentinels.master)

    distrusts(tls_redis_sentinels.tls_url, options)


def test_the_nodes_of_a_cluster_speak_tls(tls_redis_cluster: RedisCluster, authority: Authority) -> None:
    options = {"ssl": {"ca_certs": str(authority.certificate)}}
    key = tagged("")

    check(tls_redis_cluster.tls_url, options, lambda: tls_redis_cluster.master_of(key))

    distrusts(tls_redis_cluster.tls_url, options)
