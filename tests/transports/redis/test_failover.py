"""Fail-overs under publish and under consume: nothing is lost that the servers themselves have not lost."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

import dulse
from dulse import errors
from dulse.links.redis.slots import tagged
from tests.servers.redis import RedisServer
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import RedisSentinels

pytestmark = [pytest.mark.slow, pytest.mark.kill]

COUNT = 500


def replicated(master: RedisServer) -> None:
    """Wait until the replicas have all that the master has now; it goes on by itself, as sentinels speak by it."""
    end = time.monotonic() + 60
    wanted = int(re.findall(r"master_repl_offset:(\d+)", master.cli("info", "replication"))[0])
    while time.monotonic() < end:
        replicas = re.findall(r"^slave\d+:.*\boffset=(\d+)", master.cli("info", "replication"), re.MULTILINE)
        if replicas and all(int(offset) >= wanted for offset in replicas):
            return
        time.sleep(0.02)
    raise AssertionError(f"the replicas of {master!r} did not follow")


def patiently(call: Callable[[], Any]) -> Any:
    """Call until the servers have agreed on a master."""
    end = time.monotonic() + 60
    while True:
        try:
            return call()
        except errors.OperationalError:
            if time.monotonic() > end:
                raise


def check(url: str, options: dict[str, Any], master: Callable[[], RedisServer]) -> None:
    queue = dulse.Queue("orders", dulse.Exchange("shop"), routing_key="new")
    found: list[int] = []
    with dulse.Connection(url, transport_options=options) as connection:
        queue.bind(connection.default_channel).declare()
        with connection.Producer() as producer:
            for number in range(COUNT):
                producer.publish(number, exchange="shop", routing_key="new")
            producer.flush()
            replicated(master())
            master().kill()
            for number in range(COUNT, 2 * COUNT):
                producer.publish(number, exchange="shop", routing_key="new")
            patiently(producer.flush)

        def take(body: int, message: Any) -> None:
            found.append(body)
            message.ack()

        with connection.Consumer([queue], callbacks=[take]):
            end = time.monotonic() + 60
            while len(found) < 2 * COUNT and time.monotonic() < end:
                try:
                    connection.drain_events(timeout=1)
                except TimeoutError:
                    continue
    assert found == list(range(2 * COUNT))


def check_consuming(url: str, options: dict[str, Any], master: Callable[[], RedisServer]) -> None:
    """Kill the master when half is consumed: no more comes again than was not acknowledged, or not to the replica."""
    found: list[int] = []
    work = dulse.Queue("orders")
    with dulse.Connection(url, transport_options={**options, "lease": 2}) as connection:
        work(connection.default_channel).declare()
        with connection.Producer() as producer:
            for number in range(COUNT):
                producer.publish(number, routing_key="orders")
            producer.flush()
        replicated(master())

        def take(body: int, message: Any) -> None:
            found.append(body)
            message.ack()
            if len(found) == COUNT // 2:
                master().kill()

        consumer = connection.Consumer([work], callbacks=[take], prefetch_count=10)
        with consumer:
            end = time.monotonic() + 60
            while not set(range(COUNT)) <= set(found):
                assert time.monotonic() < end, f"{COUNT - len(set(found))} are missing"
                try:
                    connection.drain_events(timeout=1)
                except (TimeoutError, errors.OperationalError):
                    continue
    assert len(found) < COUNT + 100


def test_a_master_of_sentinels_is_killed(redis_sentinels: RedisSentinels) -> None:
    options = {"master_name": redis_sentinels.name, "global_keyprefix": f"failover {time.time()} "}
    check(redis_sentinels.url, options, lambda: redis_sentinels.master)


def test_the_node_of_a_cluster_that_has_the_broker_is_killed(redis_cluster: RedisCluster) -> None:
    prefix = f"failover {time.time()} "
    key = tagged(prefix)
    check(redis_cluster.url, {"global_keyprefix": prefix}, lambda: redis_cluster.master_of(key))


def test_a_master_of_sentinels_is_killed_under_a_consumer(redis_sentinels: RedisSentinels) -> None:
    options = {"master_name": redis_sentinels.name, "global_keyprefix": f"consumed {time.time()} "}
    check_consuming(redis_sentinels.url, options, lambda: redis_sentinels.master)


def test_the_node_of_a_cluster_that_has_the_broker_is_killed_under_a_consumer(redis_cluster: RedisCluster) -> None:
    prefix = f"consumed {time.time()} "
    key = tagged(prefix)
    check_consuming(redis_cluster.url, {"global_keyprefix": prefix}, lambda: redis_cluster.master_of(key))
