"""What a link promises of its calls, against a real server."""

from __future__ import annotations

import pytest

from dulse import errors
from dulse.links.redis.aio.link import RedisLink
from dulse.links.redis.resp import ErrorReply
from dulse.links.redis.scripts import Script
from dulse.links.waiting.aio import spawn
from tests.links.redis.aio.opened import opened
from tests.links.redis.rig import settings, soon
from tests.servers.redis import RedisServer

COUNT = Script("count", "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}")


async def test_a_call_gives_the_reply(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        assert await link.call("SET", "key", b"\x00\xff") == b"OK"
        assert await link.call("GET", b"key") == b"\x00\xff"
        assert await link.call("GET", "other") is None
        assert await link.call("LPUSH", "list", 1, 2) == 2


async def test_the_database_of_the_url_is_used(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url[:-1] + "3")) as link:
        await link.call("SET", "key", "three")
    assert redis_server.cli("-n", "3", "get", "key") == "three"


async def test_a_link_opens_itself_at_its_first_call(redis_server: RedisServer) -> None:
    link = RedisLink(settings(redis_server.url))
    assert await link.call("PING") == b"PONG"
    assert link.server[b"version"].startswith(b"7.")
    await link.close(soon())


async def test_a_closed_link_says_so(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        await link.close(soon())
        with pytest.raises(errors.ConnectionClosed, match="open it"):
            await link.call("PING")


async def test_an_error_reply_is_raised_and_the_link_lives_on(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        await link.call("SET", "key", "text")
        with pytest.raises(errors.StorageCorrupt, match="a key of ours holds a foreign value"):
            await link.call("LPUSH", "key", "item")
        assert await link.call("GET", "key") == b"text"


async def test_a_pipeline_gives_error_replies_among_the_others(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        first, wrong, last = await link.pipeline([("SET", "key", "text"), ("LPUSH", "key", 1), ("GET", "key")])
        assert (first, last) == (b"OK", b"text")
        assert isinstance(wrong, ErrorReply)
        assert wrong.code == "WRONGTYPE"


@pytest.mark.parametrize("size", [0, 1, 100_000, 20_000_000])
async def test_values_of_any_size_pass_both_ways(redis_server: RedisServer, size: int) -> None:
    value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with opened(settings(redis_server.url)) as link:
        await link.call("SET", "key", value)
        assert await link.call("GET", "key") == value


async def test_a_reply_beyond_the_limit_is_refused(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url, max_reply_size=100_000)) as link:
        await link.call("SET", "key", b"x" * 200_000)
        with pytest.raises(errors.ProtocolError, match="max_reply_size"):
            await link.call("GET", "key")
        assert await link.call("STRLEN", "key") == 200_000


async def test_a_script_is_told_to_a_server_that_does_not_know_it(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        redis_server.cli("script", "flush")
        assert await link.script(COUNT, ["key"], ["argument"]) == [b"key", b"argument", 1]
        assert await link.script(COUNT, ["key"], [5]) == [b"key", b"5", 2]


async def test_an_error_inside_a_script_is_raised(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        await link.call("SET", "key", "text")
        with pytest.raises(errors.StorageError):
            await link.script(COUNT, ["key"], [""])


async def test_what_is_sent_is_done_in_order_with_the_calls(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        for number in range(100):
            await link.send([("RPUSH", "list", number), ("RPUSH", "list", f"{number} again")])
            if number % 10 == 0:
                assert await link.call("LLEN", "list") == 2 * number + 2
        await link.send([("RPUSH", "list", "last")])
        found = await link.call("LRANGE", "list", 0, -1)
    assert found == [text for n in range(100) for text in (b"%d" % n, b"%d again" % n)] + [b"last"]


async def test_an_error_of_what_is_sent_disturbs_nothing(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        await link.send([("SET", "key", "text"), ("LPUSH", "key", "wrong"), ("SET", "key", "after")])
        assert await link.call("GET", "key") == b"after"


async def test_the_scripts_of_what_is_sent_are_told_first(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        redis_server.cli("script", "flush")
        for _ in range(3):
            await link.send([COUNT.command(["key"], [1])], scripts=[COUNT])
        assert await link.call("GET", "key") == b"3"


async def test_scripts_that_the_server_lost_are_told_again_when_that_is_known(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        await link.send([COUNT.command(["key"], [1])], scripts=[COUNT])
        await link.call("SCRIPT", "FLUSH")
        link.forget_scripts()
        await link.send([COUNT.command(["key"], [1])], scripts=[COUNT])
        assert await link.call("GET", "key") == b"2"


async def test_everybody_who_shares_a_link_gets_his_own_replies(redis_server: RedisServer) -> None:
    wrong: list[object] = []
    async with opened(settings(redis_server.url)) as link:

        async def ask(name: str) -> None:
            for number in range(200):
                word = f"{name}-{number}"
                found = await link.call("ECHO", word)
                await link.send([("HSET", name, number, word)])
                if found != word.encode():
                    wrong.append(found)

        workers = [spawn(lambda name=f"worker{each}": ask(name), f"worker {each}") for each in range(8)]  # type: ignore[misc]
        for worker in workers:
            assert await worker.join(60)
        assert wrong == []
        assert await link.call("HLEN", "worker7") == 200
