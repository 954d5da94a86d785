"""The node of a cluster that has the slot is found, followed when the slot moves, and replaced when it dies."""

from __future__ import annotations

import pytest

from dulse import errors
from dulse.links.redis.aio.link import RedisLink
from dulse.links.redis.scripts import Script
from dulse.links.redis.settings import Settings
from dulse.links.waiting.aio import Spawned, sleep, spawn
from tests.links.redis.aio.opened import listening, opened
from tests.links.redis.rig import settings, soon
from tests.servers.redis import RedisServer
from tests.servers.redis_cluster import RedisCluster

COUNT = Script("count", "redis.call('RPUSH', ARGV[1] .. 'list', ARGV[2]) return redis.call('LLEN', ARGV[1] .. 'list')")


async def count(link: RedisLink, number: int) -> int:
    chosen = link.settings
    found: int = await link.script(COUNT, chosen.gate, [chosen.prefix, number])
    return found


def other_master(cluster: RedisCluster, chosen: Settings) -> RedisServer:
    """A master that does not have our slot."""
    mine = cluster.master_of(chosen.prefix)
    return next(node for node in cluster.nodes if node is not mine and "role:master" in node.cli("info", "replication"))


def identity(node: RedisServer) -> str:
    return node.cli("cluster", "myid")


async def test_the_node_of_the_slot_is_found_from_any_other(redis_cluster: RedisCluster) -> None:
    for node in redis_cluster.nodes:
        chosen = settings(f"redis+cluster://{node.host}:{node.port}")
        async with opened(chosen) as link:
            await link.call("DEL", f"{chosen.prefix}list")
            assert [await count(link, 7), await count(link, 8)] == [1, 2]


async def test_another_prefix_may_have_another_node(redis_cluster: RedisCluster) -> None:
    prefixes = [f"broker{number}" for number in range(12)]
    slots = {settings(redis_cluster.url, prefix=prefix).slot // 5461 for prefix in prefixes}
    assert len(slots) > 1
    for prefix in prefixes:
        chosen = settings(redis_cluster.url, prefix=prefix)
        async with opened(chosen) as link:
            assert await link.call("SET", f"{chosen.prefix}key", 1) == b"OK"


async def test_a_server_that_is_no_cluster_is_refused(redis_server: RedisServer) -> None:
    link = RedisLink(settings(f"redis+cluster://{redis_server.host}:{redis_server.port}"))
    with pytest.raises(errors.InvalidURL, match="write redis:// instead"):
        await link.open(soon())


async def test_a_node_that_is_taken_for_a_single_server_says_what_it_is(redis_cluster: RedisCluster) -> None:
    chosen = settings(redis_cluster.url)
    node = other_master(redis_cluster, chosen)
    async with opened(settings(node.url)) as link:
        with pytest.raises(errors.ProtocolError, match=r"write redis\+cluster://"):
            await link.call("SET", f"{chosen.prefix}key", 1)


async def test_a_slot_that_moves_is_waited_for_and_followed(redis_cluster: RedisCluster) -> None:
    """What is called while the slot moves is done once, and never half."""
    chosen = settings(redis_cluster.url)
    source, target = redis_cluster.master_of(chosen.prefix), other_master(redis_cluster, chosen)
    slot = str(chosen.slot)
    calls: list[int] = []
    async with opened(chosen) as link, listening(chosen) as ear:
        await link.call("DEL", f"{chosen.prefix}list")
        await link.call("MSET", *[word for n in range(50) for word in (f"{chosen.prefix}key{n}", n)])
        target.cli("cluster", "setslot", slot, "importing", identity(source))
        source.cli("cluster", "setslot", slot, "migrating", identity(target))

        async def ask() -> None:
            calls.append(await count(link, 7))

        work: Spawned = spawn(ask, "a call while the slot moves")
        await sleep(0.3)
        assert calls == []
        while keys := source.cli("cluster", "getkeysinslot", slot, "100").split():
            source.cli("migrate", target.host, str(target.port), "", "0", "10000", "keys", *keys)
        for node in (target, source):
            node.cli("cluster", "setslot", slot, "node", identity(target))
        assert await work.join(60)
        assert calls == [1]
        assert await count(link, 8) == 2
        await link.send([COUNT.command(chosen.gate, [chosen.prefix, 9])], scripts=[COUNT])
        assert await link.call("LRANGE", f"{chosen.prefix}list", 0, -1) == [b"7", b"8", b"9"]
        with pytest.raises(errors.ConnectionLost):
            await ear.listen([("EXISTS", f"{chosen.prefix}list")], 10)
        assert (await ear.listen([("EXISTS", f"{chosen.prefix}list")], 10, bool)).replies == [1]
    assert redis_cluster.master_of(chosen.prefix) is target


@pytest.mark.slow
async def test_a_killed_master_is_replaced_by_its_replica(redis_cluster: RedisCluster) -> None:
    chosen = settings(redis_cluster.url)
    acknowledged = []
    async with opened(chosen) as link:
        await link.call("DEL", f"{chosen.prefix}list")
        for number in range(50):
            await count(link, number)
            acknowledged.append(b"%d" % number)
        assert await link.call("WAIT", 1, 60_000) == 1
        redis_cluster.master_of(chosen.prefix).kill()
        for number in range(50, 100):
            try:
                await count(link, number)
            except errors.ConnectionLost:  # nobody knows whether it was done
                continue
            acknowledged.append(b"%d" % number)
        found = await link.call("LRANGE", f"{chosen.prefix}list", 0, -1)
    assert len(acknowledged) >= 99
    assert [each for each in acknowledged if each not in found] == []
