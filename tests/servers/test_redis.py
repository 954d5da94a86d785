"""The Redis servers of the tests are real ones, and fail over when they are killed."""

from __future__ import annotations

import socket
import ssl

from tests.servers.redis import RedisServer
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import RedisSentinels


def ping(link: socket.socket) -> bytes:
    link.settimeout(10)
    link.sendall(b"PING\r\n")
    return link.recv(100)


def test_it_speaks_resp(redis_server: RedisServer) -> None:
    with socket.create_connection((redis_server.host, redis_server.port), 10) as link:
        assert ping(link) == b"+PONG\r\n"


def test_it_speaks_resp_over_tls_with_a_certificate_of_our_authority(
    redis_server: RedisServer,
) -> None:
    assert redis_server.authority is not None
    context = ssl.create_default_context(cafile=str(redis_server.authority.certificate))
    plain = socket.create_connection((redis_server.host, redis_server.tls_port), 10)
    with context.wrap_socket(plain, server_hostname="localhost") as link:
        assert ping(link) == b"+PONG\r\n"


def test_it_speaks_resp_over_a_unix_socket(redis_server: RedisServer) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(redis_server.socket))
        assert ping(link) == b"+PONG\r\n"


def test_it_keeps_what_was_answered_when_it_is_killed(redis_server: RedisServer) -> None:
    assert redis_server.cli("rpush", "kept", "one", "two") == "2"
    redis_server.kill()
    redis_server.start()
    assert redis_server.cli("lrange", "kept", "0", "-1") == "one\ntwo"


def test_it_is_empty_for_the_next_test(redis_server: RedisServer) -> None:
    assert redis_server.cli("dbsize") == "0"
    redis_server.cli("set", "left", "over")


def test_the_sentinels_replace_a_master_that_is_killed(redis_sentinels: RedisSentinels) -> None:
    former = redis_sentinels.master
    assert former.cli("set", "key", "value") == "OK"
    assert former.cli("wait", "2", "10000") == "2"
    former.kill()
    successor = redis_sentinels.wait_for_other_master(former)
    assert successor.cli("get", "key") == "value"


def test_the_cluster_replaces_a_master_that_is_killed(redis_cluster: RedisCluster) -> None:
    former = redis_cluster.master_of("key")
    assert former.cli("set", "key", "value") == "OK"
    assert former.cli("wait", "1", "10000") == "1"
    former.kill()
    successor = redis_cluster.wait_for_other_master("key", former)
    assert successor.cli("get", "key") == "value"
