"""A broker over several slots of a cluster: kills, fail-overs, and what its processes have to agree on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import dulse
from dulse import errors
from dulse.testing.killing import Child
from dulse.transports.redis.sharded.places import prefixes, shard_of
from dulse.transports.redis.sync.shard import Shard
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


def dies(*_arguments: Any, **_options: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def change_and_die(where: str, url: str, options: dict[str, Any], change: Callable[[dulse.Channel], Any]) -> None:
    """Have a process change the topology that is killed when home has noted it, or one more shard knows."""
    step = getattr(Shard, where)

    def take_the_last_step(*arguments: Any, **named: Any) -> None:
        step(*arguments, **named)
        dies()

    def run() -> None:
        with dulse.Connection(url, transport_options=options) as connection:
            channel = connection.default_channel
            setattr(Shard, where, take_the_last_step)
            change(channel)

    assert Child(run).wait(30) == -signal.SIGKILL


def bodies(queue: Any) -> list[Any]:
    return [message.payload for message in iter(lambda: queue.get(no_ack=True), None)]


@pytest.mark.parametrize("where", ["commit", "apply"])
def test_what_home_has_noted_is_carried_out_by_others_where_who_asked_for_it_is_killed(
    redis_cluster: RedisCluster, where: str
) -> None:
    options = {"prefix": fresh(), "shards": SHARDS}
    names = queues_of_each_shard()
    exchange = dulse.Exchange("shop", type="fanout")
    with dulse.Connection(redis_cluster.url, transport_options=options) as connection:
        queues = [dulse.Queue(name, exchange)(connection.default_channel) for name in names]
        for queue in queues:
            queue.declare()
        producer = connection.Producer(exchange=exchange)
        producer.publish("before")
        for queue in queues:
            change_and_die(where, redis_cluster.url, options, partial(delete, queue.name))
        for queue in queues:
            with pytest.raises(errors.NotFound):
                connection.channel().queue_declare(queue.name, passive=True)

        for queue in queues:
            change_and_die(where, redis_cluster.url, options, partial(declare, queue.name))
        for queue in queues:
            queue.bind_to(exchange)
        producer.publish("after")

        assert [bodies(queue) for queue in queues] == [["after"]] * SHARDS


def test_a_queue_that_was_sealed_by_somebody_who_was_killed_takes_messages_on(redis_cluster: RedisCluster) -> None:
    options = {"prefix": fresh(), "shards": SHARDS}
    name = queues_of_each_shard()[1]
    with dulse.Connection(redis_cluster.url, transport_options=options) as connection:
        queue = dulse.Queue(name)(connection.default_channel)
        queue.declare()
        producer = connection.Producer(routing_key=name)
        producer.publish("one")
        assert bodies(queue) == ["one"]

        change_and_die("seal", redis_cluster.url, options, partial(delete, name, if_empty=True))
        producer.publish("two")
        producer.flush()

        assert bodies(queue) == ["two"]


def test_a_dead_letter_for_another_shard_is_not_lost_with_who_was_killed_before_settling(
    redis_cluster: RedisCluster,
) -> None:
    options = {"prefix": fresh(), "shards": SHARDS, "lease": 2}
    work, dead, _ = queues_of_each_shard()
    with dulse.Connection(redis_cluster.url, transport_options=options) as connection:
        graveyard = dulse.Queue(dead)(connection.default_channel)
        graveyard.declare()
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        queue = dulse.Queue(work, queue_arguments=arguments)(connection.default_channel)
        queue.declare()
        connection.Producer(routing_key=work).publish("letter")

        def reject_and_die() -> None:
            with dulse.Connection(redis_cluster.url, transport_options=options) as others:
                message = dulse.Queue(work)(others.default_channel).get()
                assert message is not None
                Shard.settle = dies  # type: ignore[method-assign,assignment]  # what was forwarded is put by then
                message.reject()

        assert Child(reject_and_die).wait(30) == -signal.SIGKILL
        end = time.monotonic() + 30
        while (again := queue.get()) is None:
            assert time.monotonic() < end, "the message did not come back"
            time.sleep(0.1)

        assert (again.payload, again.delivery_info["redelivered"]) == ("letter", True)
        assert bodies(graveyard) == ["letter"]
        again.reject()
        assert bodies(graveyard) == ["letter"]
        assert queue.get() is None


def delete(name: str, channel: dulse.Channel, *, if_empty: bool = False) -> None:
    channel.queue_delete(name, if_empty=if_empty)


def declare(name: str, channel: dulse.Channel) -> None:
    channel.queue_declare(name, durable=True)


def publish(producer: Any, names: list[str], numbers: range) -> None:
    for number in numbers:
        for name in names:
            producer.publish([name, number], routing_key=name)


def publishing(producer: Any, name: str, number: int) -> Callable[[], Any]:
    return lambda: producer.publish([name, number], routing_key=name)
