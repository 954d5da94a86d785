"""The master is found by its sentinels, and found again after a fail-over."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import pytest

from dulse import errors
from dulse.links.redis.aio.link import RedisLink
from dulse.links.waiting.aio import sleep
from tests.links.redis.aio.opened import listening, opened
from tests.links.redis.rig import settings, soon
from tests.servers.ports import reserve
from tests.servers.redis_sentinel import RedisSentinels

SECRET = "sesame-7351"


@pytest.fixture
def guarded(redis_sentinels: RedisSentinels) -> Iterator[RedisSentinels]:
    """Sentinels that want a password."""
    for sentinel in redis_sentinels.sentinels:
        sentinel.cli("acl", "setuser", "watcher", "on", f">{SECRET}", "~*", "&*", "+@all")
        sentinel.cli("acl", "setuser", "default", "-@all", "+@connection", "+sentinel|myid")
    yield redis_sentinels
    redis_sentinels.kill()
    redis_sentinels.start()


async def test_the_sentinels_lead_to_the_master(redis_sentinels: RedisSentinels) -> None:
    async with opened(settings(redis_sentinels.url, master_name=redis_sentinels.name)) as link:
        assert await link.call("SET", "key", 1) == b"OK"
        assert link.server[b"role"] == b"master"


async def test_sentinels_that_are_absent_are_passed_over(redis_sentinels: RedisSentinels) -> None:
    url = f"sentinel://127.0.0.1:{reserve()};{redis_sentinels.url}"
    async with opened(settings(url, master_name=redis_sentinels.name)) as link:
        assert await link.call("SET", "key", 1) == b"OK"


async def test_sentinels_that_are_all_absent_are_an_error_in_time() -> None:
    link = RedisLink(settings(f"sentinel://127.0.0.1:{reserve()}", master_name="mine"))
    with pytest.raises(errors.ConnectionRefused, match=r"led to no master 'mine' in time.*can be reached"):
        await link.open(monotonic() + 0.5)


async def test_a_name_that_no_sentinel_knows_is_an_error_at_once(redis_sentinels: RedisSentinels) -> None:
    link = RedisLink(settings(redis_sentinels.url, master_name="other"))
    with pytest.raises(errors.InvalidArgument, match="watches no master 'other'"):
        await link.open(soon())


@pytest.mark.slow
async def test_a_killed_master_is_replaced_within_the_time_of_a_call(redis_sentinels: RedisSentinels) -> None:
    chosen = settings(redis_sentinels.url, master_name=redis_sentinels.name)
    async with opened(chosen) as link, listening(chosen) as ear:
        await link.call("DEL", "list")
        acknowledged = []
        for number in range(100):
            assert await link.call("RPUSH", "list", number) == number + 1
            acknowledged.append(b"%d" % number)
        assert await link.call("WAIT", 2, 60_000) == 2
        redis_sentinels.master.kill()
        for number in range(100, 200):
            try:
                await link.call("RPUSH", "list", number)
            except errors.ConnectionLost:  # nobody knows whether it was done
                continue
            acknowledged.append(b"%d" % number)
        found = await link.call("LRANGE", "list", 0, -1)
        assert len(acknowledged) >= 199
        assert [each for each in acknowledged if each not in found] == []
        assert (await ear.listen([("EXISTS", "list")], 10, lambda replies: replies == [1])).replies == [1]


@pytest.mark.slow
async def test_a_master_that_became_a_replica_is_left(redis_sentinels: RedisSentinels) -> None:
    async with opened(settings(redis_sentinels.url, master_name=redis_sentinels.name)) as link:
        await link.call("SET", "key", 1)
        former = redis_sentinels.master
        redis_sentinels.sentinels[0].cli("sentinel", "failover", redis_sentinels.name)
        redis_sentinels.wait_for_other_master(former)
        while "role:slave" not in former.cli("info", "replication"):
            await sleep(0.05)
        for _ in range(100):
            try:
                await link.call("SET", "key", 2)
                break
            except (errors.ConnectionLost, errors.StorageReadOnly):
                continue
        assert redis_sentinels.master.cli("get", "key") == "2"


async def test_sentinels_have_credentials_of_their_own(guarded: RedisSentinels) -> None:
    name = guarded.name
    chosen = settings(guarded.url, master_name=name, sentinel_username="watcher", sentinel_password=SECRET)
    async with opened(chosen) as link:
        assert await link.call("PING") == b"PONG"
    without = settings(guarded.url, master_name=name)
    wrong = settings(guarded.url, master_name=name, sentinel_username="watcher", sentinel_password="wrong")
    for bad in (without, wrong):
        with pytest.raises(errors.AuthenticationFailed):
            await RedisLink(bad).open(soon())
