"""What holds on Redis 7 holds on the oldest and the newest Redis there is, and on Valkey."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dulse
import servers
from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.links.redis.slots import tagged
from dulse.model.parameters import parse_url
from dulse.testing.conformance.catalogue import FORMS, cases
from dulse.testing.conformance.suite import ConformanceSuite
from dulse.testing.storage_contract import StorageContract
from dulse.transports.redis.sync.storage import RedisStorage
from tests.faults.fray import Plan
from tests.servers.fixtures import killed_afterwards
from tests.servers.redis import RedisServer
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import RedisSentinels
from tests.transports.redis.test_failover import check as check_failover
from tests.transports.redis.test_kills import check
from tests.transports.redis.test_mixed_fleet import Kombu, declare, drained

WITH_CLUSTERS = [version for version in servers.REDIS if version != "Redis 6.2"]
"""Whose nodes can choose both their ports."""

_numbers = itertools.count()


def test_it_is_the_server_that_was_asked_for(other_redis: RedisServer, request: pytest.FixtureRequest) -> None:
    name, _, version = request.node.callspec.params["other_redis_session"].partition(" ")
    told = dict(line.partition(":")[::2] for line in other_redis.cli("info", "server").splitlines() if ":" in line)
    assert told.get("server_name", "redis") == name.lower()
    assert told["valkey_version" if name == "Valkey" else "redis_version"].startswith(f"{version}.")


class TestContract(StorageContract):
    """The Storage contract."""

    @pytest.fixture(autouse=True)
    def place(self, other_redis_session: RedisServer) -> None:
        other_redis_session.start()
        parameters = parse_url(other_redis_session.url)
        self.settings = settings_from(parameters, LinkOptions(), prefix=f"case {next(_numbers)} ")

    def make_storage(self) -> RedisStorage:
        storage = RedisStorage(self.settings)
        storage.open(30)
        return storage


def quick_ones() -> Iterator[Any]:
    """Each case of the conformance suite once: the forms of the API take turns."""
    for form, turn in zip(FORMS, (0, 1), strict=True):
        for index, case in enumerate(cases(form)):
            if index % 2 == turn and not case.slow and "processes" not in case.requires:
                yield pytest.param(case, id=f"{form}-{case.name}")


@pytest.mark.parametrize("case", tuple(quick_ones()))
def test_it_keeps_what_the_conformance_suite_asks(other_redis: RedisServer, case: Any) -> None:
    ConformanceSuite().test_keeps(case, other_redis.url)


@pytest.mark.kill
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "plan",
    [
        Plan(prefetch=10, messages=1000, mode="statements", last=100, step=10),
        Plan(prefetch=100, messages=1000, mode="random", last=10),
    ],
    ids=lambda plan: plan.mode,
)
def test_nothing_is_lost_when_processes_are_killed(tmp_path: Path, other_redis: RedisServer, plan: Plan) -> None:
    check(tmp_path, other_redis.url, plan)


def test_a_fleet_may_be_mixed_with_processes_of_kombu(other_redis: RedisServer) -> None:
    with dulse.Connection(other_redis.url, transport_options={"fleet": "mixed"}) as connection:
        queue = declare(connection, "orders", "shop", "new")
        asked = {"url": other_redis.url, "exchange": "shop", "key": "new"}
        Kombu(do="publish", bodies=["theirs"], **asked).end()
        assert [body for body, _ in drained(connection, queue, 1)] == ["theirs"]
        with connection.Producer() as producer:
            producer.publish("ours", exchange="shop", routing_key="new")
        assert [each["body"] for each in Kombu(do="consume", queue="orders", **asked).end()] == ["ours"]
        assert other_redis.cli("hlen", "unacked") == "0"


@pytest.mark.kill
def test_a_master_of_sentinels_is_killed(tmp_path: Path, other_redis: RedisServer) -> None:
    six = RedisSentinels(tmp_path, executable=other_redis.executable)
    with killed_afterwards(six):
        six.start()
        check_failover(six.url, {"master_name": six.name}, lambda: six.master)


@pytest.mark.kill
@pytest.mark.parametrize("other_redis_session", WITH_CLUSTERS, indirect=True)
def test_a_node_of_a_cluster_is_killed(tmp_path: Path, other_redis: RedisServer) -> None:
    six = RedisCluster(tmp_path, executable=other_redis.executable)
    with killed_afterwards(six):
        six.start()
        check_failover(six.url, {}, lambda: six.master_of(tagged("")))
