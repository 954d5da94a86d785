"""The servers as fixtures: each is started when the first test asks for it, and ended with the session.

Tests that ask for one are marked `server` by that, and those that ask for a slow one `slow` as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

import servers
from tests.servers.absence import Absent, skip_or_fail, summary
from tests.servers.authority import Authority
from tests.servers.folders import data_folder
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.rabbitmq import Installation, PortMapper, RabbitMQ
from tests.servers.rabbitmq_chroot import ChrootInstallation, DenyingRabbitMQ, debian_13
from tests.servers.rabbitmq_cluster import RabbitMQCluster
from tests.servers.redis import RedisServer
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import RedisSentinels

SERVERS = {"rabbitmq", "redis_server", "redis_sentinels", "redis_cluster", "postgresql", "mariadb"}
SLOW_SERVERS = {"rabbitmq_cluster", "rabbitmq4", "other_redis", "tls_redis_sentinels", "tls_redis_cluster"}
PATIENCE = 240
"""Seconds that a test of a server may take on a machine under load, the start of the server included."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers they ask for, before -m chooses."""
    for item in items:
        wanted = set(getattr(item, "fixturenames", ()))
        if wanted & (SERVERS | SLOW_SERVERS):
            item.add_marker(pytest.mark.server)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(PATIENCE))
        if wanted & SLOW_SERVERS:
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count what was skipped for lack of a server."""
    lines = summary(str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []))
    if lines:
        terminalreporter.section("servers that are not installed")
        for line in lines:
            terminalreporter.line(line)
        terminalreporter.line("As root on Debian, `make servers` installs what there is.")


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    """Signs the certificates of all servers of this session."""
    with servers_in_folder() as where:
        yield Authority(where)


@contextmanager
def servers_in_folder(inside: Path | None = None) -> Iterator[Path]:
    """A folder to be made for servers, deleted afterwards; what is Absent within is a skip, or a failure in CI."""
    try:
        with data_folder(inside) as made:
            yield made / "servers"
    except Absent as why:
        skip_or_fail(why)


@contextmanager
def fresh_vhost(node: RabbitMQ) -> Iterator[str]:
    """The name of a virtual host that is deleted afterwards."""
    name = f"test-{secrets.token_hex(4)}"
    node.add_vhost(name)
    yield name
    node.start()
    node.remove_vhost(name)


@contextmanager
def killed_afterwards(server: Killable) -> Iterator[None]:
    """End a server when nobody needs it any more; its data goes as well, so SIGKILL will do."""
    try:
        yield
    finally:
        server.kill()


class Killable(Protocol):
    """A server, or several."""

    def kill(self) -> None: ...


@pytest.fixture(scope="session")
def rabbitmq_session(authority: Authority) -> Iterator[RabbitMQ]:
    """The node of this session, as the last test left it; ask for `rabbitmq`."""
    with servers_in_folder() as where:
        installation = Installation(where)
        mapper = PortMapper(installation)
        node = RabbitMQ(installation, mapper, authority)
        with killed_afterwards(mapper), killed_afterwards(node):
            yield node


@pytest.fixture
def rabbitmq(rabbitmq_session: RabbitMQ) -> RabbitMQ:
    """A running RabbitMQ 3.10, the same for all tests; one that a test has killed is started again for the next."""
    rabbitmq_session.start()
    return rabbitmq_session


@pytest.fixture
def rabbitmq_vhost(rabbitmq: RabbitMQ) -> Iterator[str]:
    """The name of a fresh virtual host on it, deleted after the test."""
    with fresh_vhost(rabbitmq) as name:
        yield name


@pytest.fixture
def rabbitmq_url(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> str:
    """The URL of the fresh virtual host."""
    return rabbitmq.url_of(rabbitmq_vhost)


@pytest.fixture(scope="session")
def rabbitmq_cluster_session(authority: Authority) -> Iterator[RabbitMQCluster]:
    """The nodes of this session, as the last test left them; ask for `rabbitmq_cluster`."""
    with servers_in_folder() as where:
        installation = Installation(where)
        mapper = PortMapper(installation)
        nodes = RabbitMQCluster(installation, mapper, authority)
        with killed_afterwards(mapper), killed_afterwards(nodes):
            yield nodes


@pytest.fixture
def rabbitmq_cluster(rabbitmq_cluster_session: RabbitMQCluster) -> RabbitMQCluster:
    """Three running nodes that form a cluster; those that a test has killed are started again for the next."""
    rabbitmq_cluster_session.start()
    return rabbitmq_cluster_session


@pytest.fixture(scope="session")
def rabbitmq4_session() -> Iterator[RabbitMQ]:
    """The node of this session, as the last test left it; ask for `rabbitmq4`."""
    try:
        root = debian_13()
    except Absent as why:
        skip_or_fail(why, even_in_ci=True)
    with servers_in_folder(root / "tmp") as where:
        installation = ChrootInstallation(root, where)
        mapper = PortMapper(installation)
        node = DenyingRabbitMQ(installation, mapper, Authority(where / "authority"))
        with killed_afterwards(mapper), killed_afterwards(node):
            yield node


@pytest.fixture
def rabbitmq4(rabbitmq4_session: RabbitMQ) -> RabbitMQ:
    """A running RabbitMQ 4 that denies what is deprecated; one that a test has killed is started for the next."""
    rabbitmq4_session.start()
    return rabbitmq4_session


@pytest.fixture
def rabbitmq4_url(rabbitmq4: RabbitMQ) -> Iterator[str]:
    """The URL of a fresh virtual host, deleted after the test."""
    with fresh_vhost(rabbitmq4) as name:
        yield rabbitmq4.url_of(name)


@pytest.fixture(scope="session")
def redis_session(authority: Authority) -> Iterator[RedisServer]:
    """The server of this session, as the last test left it; ask for `redis_server`."""
    with servers_in_folder() as where:
        server = RedisServer(where, authority)
        with killed_afterwards(server):
            yield server


@pytest.fixture
def redis_server(redis_session: RedisServer) -> RedisServer:
    """A running Redis 7, empty, with the settings it came with."""
    redis_session.start()
    redis_session.cli("flushall")
    return redis_session


@pytest.fixture(scope="session", params=servers.REDIS)
def other_redis_session(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of each version in turn, as the last test left it; ask for `other_redis`."""
    try:
        program = servers.redis(request.param)
    except servers.CannotInstall as why:
        skip_or_fail(Absent(f"{request.param}: {why}"))
    with servers_in_folder() as where:
        server = RedisServer(where, None, executable=str(program))
        with killed_afterwards(server):
            yield server


@pytest.fixture
def other_redis(other_redis_session: RedisServer) -> RedisServer:
    """A running Redis of another version than 7, or Valkey; empty, and without TLS, which most of them lack."""
    other_redis_session.start()
    other_redis_session.cli("flushall")
    return other_redis_session


@pytest.fixture(scope="session")
def redis_sentinels_session() -> Iterator[RedisSentinels]:
    """The servers of this session, as the last test left them; ask for `redis_sentinels`."""
    with servers_in_folder() as where:
        servers = RedisSentinels(where)
        with killed_afterwards(servers):
            yield servers


@pytest.fixture
def redis_sentinels(redis_sentinels_session: RedisSentinels) -> RedisSentinels:
    """A master, two replicas and three sentinels; those that a test has killed are started again for the next."""
    redis_sentinels_session.start()
    return redis_sentinels_session


@pytest.fixture
def tls_redis_sentinels(authority: Authority) -> Iterator[RedisSentinels]:
    """The same six for this test alone, by TLS."""
    with servers_in_folder() as where:
        servers = RedisSentinels(where, authority)
        with killed_afterwards(servers):
            servers.start()
            yield servers


@pytest.fixture(scope="session")
def redis_cluster_session() -> Iterator[RedisCluster]:
    """The nodes of this session, as the last test left them; ask for `redis_cluster`."""
    with servers_in_folder() as where:
        nodes = RedisCluster(where)
        with killed_afterwards(nodes):
            yield nodes


@pytest.fixture
def redis_cluster(redis_cluster_session: RedisCluster) -> RedisCluster:
    """Three masters with a replica each; those that a test has killed are started again for the next."""
    redis_cluster_session.start()
    return redis_cluster_session


@pytest.fixture
def tls_redis_cluster(authority: Authority) -> Iterator[RedisCluster]:
    """The same six for this test alone, by TLS."""
    with servers_in_folder() as where:
        nodes = RedisCluster(where, authority)
        with killed_afterwards(nodes):
            nodes.start()
            yield nodes


@pytest.fixture(scope="session")
def postgresql_session(authority: Authority) -> Iterator[PostgreSQL]:
    """The server of this session, as the last test left it; ask for `postgresql`."""
    with servers_in_folder() as where:
        server = PostgreSQL(where, authority)
        with killed_afterwards(server):
            yield server


@pytest.fixture
def postgresql(postgresql_session: PostgreSQL) -> PostgreSQL:
    """A running PostgreSQL, the same for all tests; one that a test has killed is started again for the next."""
    postgresql_session.start()
    return postgresql_session


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of a fresh database, deleted after the test."""
    name = f"test_{secrets.token_hex(4)}"
    postgresql.query(f"CREATE DATABASE {name}")
    yield postgresql.url_of(name)
    postgresql.start()
    postgresql.query(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def mariadb_session(authority: Authority) -> Iterator[MariaDB]:
    """The server of this session, as the last test left it; ask for `mariadb`."""
    with servers_in_folder() as where:
        server = MariaDB(where, authority)
        with killed_afterwards(server):
            yield server


@pytest.fixture
def mariadb(mariadb_session: MariaDB) -> MariaDB:
    """A running MariaDB, the same for all tests; one that a test has killed is started again for the next."""
    mariadb_session.start()
    return mariadb_session


@pytest.fixture
def mariadb_url(mariadb: MariaDB) -> Iterator[str]:
    """The URL of a fresh database, deleted after the test."""
    name = f"test_{secrets.token_hex(4)}"
    mariadb.query(f"CREATE DATABASE {name}")
    yield mariadb.url_of(name)
    mariadb.start()
    mariadb.query(f"DROP DATABASE {name}")
