"""A broker over several slots of a cluster: kills, fail-overs, and what its processes have to agree on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import dulse
from dulse import errors
from dulse.transports.redis.sharded.places import prefixes, shard_of
from tests.servers.redis_cluster import RedisCluster
from tests.transports.redis.test_failover import patiently, replicated
from tests.transports.redis.test_kills import QUICK, check

pytestmark = [pytest.mark.slow, pytest.mark.kill, pytest.mark.timeout(600)]

SHARDS = 3
COUNT = 300


def fresh() -> str:
    return f"shards {time.time()} "


def queues_of_each_shard() -> list[str]:
    found: dict[int, str] = {}
    number = 0
    while len(found) < SHARDS:
        name = f"work {number}"
        found.setdefault(shard_of(name, SHARDS), name)
        number += 1
    return [found[shard] for shard in range(SHARDS)]


@pytest.mark.parametrize("plan", QUICK, ids=lambda plan: f"{plan.mode}-{plan.prefetch}")
def test_nothing_is_lost_when_processes_are_killed(tmp_path: Path, redis_cluster: RedisCluster, plan: Any) -> None:
    check(tmp_path, redis_cluster.url, plan, f"dulse&shards={SHARDS}&prefix={quote(fresh())}")


def test_the_queues_of_three_shards_lie_on_three_masters(redis_cluster: RedisCluster) -> None:
    prefix = fresh()
    masters = {redis_cluster.master_of(each).port for each in prefixes(prefix, SHARDS)}

    assert len(masters) == SHARDS


@pytest.mark.parametrize("others", [1, 2])
def test_a_process_that_counts_other_shards_is_refused(redis_cluster: RedisCluster, others: int) -> None:
    prefix = fresh()
    with dulse.Connection(redis_cluster.url, transport_options={"prefix": prefix, "shards": SHARDS}) as connection:
        dulse.Queue("work")(connection.default_channel).declare()

    with (
        pytest.raises(errors.StorageCorrupt, match="shards"),
        dulse.Connection(redis_cluster.url, transport_options={"prefix": prefix, "shards": others}) as connection,
    ):
        dulse.Queue("work")(connection.default_channel).declare()


@pytest.mark.parametrize("victim", range(SHARDS))
def test_the_master_of_one_shard_is_killed_under_publish_and_consume(redis_cluster: RedisCluster, victim: int) -> None:
    prefix = fresh()
    names = queues_of_each_shard()
    tag = prefixes(prefix, SHARDS)[victim]
    options = {"prefix": prefix, "shards": SHARDS}
    found: list[tuple[str, int]] = []
    with dulse.Connection(redis_cluster.url, transport_options=options) as connection:
        queues = [dulse.Queue(name) for name in names]
        for queue in queues:
            queue(connection.default_channel).declare()
        with connection.Producer() as producer:
            publish(producer, names, range(COUNT))
            producer.flush()
            for each in prefixes(prefix, SHARDS):
                replicated(redis_cluster.master_of(each))
            former = redis_cluster.master_of(tag)
            former.kill()
            for number in range(COUNT, 2 * COUNT):
                for name in names:
                    patiently(publishing(producer, name, number))
            patiently(producer.flush)

        def take(body: list[Any], message: Any) -> None:
            found.append((body[0], body[1]))
            message.ack()

        wanted = {(name, number) for name in names for number in range(2 * COUNT)}
        with connection.Consumer(queues, callbacks=[take], prefetch_count=50):
            end = time.monotonic() + 90
            while not wanted <= set(found):
                assert time.monotonic() < end, f"{len(wanted - set(found))} are missing"
                try:
                    connection.drain_events(timeout=1)
                except (TimeoutError, errors.OperationalError):
                    continue
    assert len(found) < len(wanted) + 100


def publish(producer: Any, names: list[str], numbers: range) -> None:
    for number in numbers:
        for name in names:
            producer.publish([name, number], routing_key=name)


def publishing(producer: Any, name: str, number: int) -> Callable[[], Any]:
    return lambda: producer.publish([name, number], routing_key=name)
