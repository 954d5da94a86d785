"""What happens to calls when the connection breaks, stalls, or was not there."""

from __future__ import annotations

from time import monotonic

import pytest

from dulse import errors
from dulse.links.redis.aio.link import RedisLink
from dulse.links.waiting.aio import sleep
from dulse.testing.proxy import Direction, FaultProxy
from tests.links.redis.aio.opened import opened
from tests.links.redis.rig import settings, soon
from tests.servers.ports import reserve
from tests.servers.redis import RedisServer


async def test_an_absent_server_is_named() -> None:
    port = reserve()
    link = RedisLink(settings(f"redis://127.0.0.1:{port}"))
    with pytest.raises(errors.ConnectionRefused, match=f"127.0.0.1:{port}.*check host and port"):
        await link.open(soon())


async def test_a_connection_that_was_lost_is_replaced_by_the_next_call(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        async with opened(settings(f"redis://127.0.0.1:{proxy.port}")) as link:
            proxy.cut_after(10, Direction.TO_SERVER)
            with pytest.raises(errors.ConnectionLost):
                await link.call("INCR", "key")
            assert await link.call("INCR", "key") == 1


async def test_a_call_whose_answer_is_lost_is_not_made_again(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        async with opened(settings(f"redis://127.0.0.1:{proxy.port}")) as link:
            proxy.cut_after(1, Direction.TO_CLIENT)
            with pytest.raises(errors.ConnectionLost):
                await link.call("INCR", "key")
            assert await link.call("GET", "key") == b"1"


async def test_an_idle_connection_that_the_server_ended_is_replaced_unnoticed(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        for call in (lambda: link.call("INCR", "key"), lambda: link.send([("INCR", "key")])):
            await link.call("PING")
            redis_server.cli("client", "kill", "type", "normal")
            await sleep(1.2)
            await call()
        assert await link.call("GET", "key") == b"2"


async def test_a_stalled_path_ends_a_call_in_time_and_the_next_one_works(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        async with opened(settings(f"redis://127.0.0.1:{proxy.port}", answer_timeout=2)) as link:
            proxy.stall()
            began = monotonic()
            with pytest.raises(errors.DeadlineExceeded, match="did not answer in time"):
                await link.call("PING")
            assert 1.9 < monotonic() - began < 30
            proxy.resume()
            assert await link.call("PING") == b"PONG"


async def test_all_calls_can_be_given_less_time(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        async with opened(settings(f"redis://127.0.0.1:{proxy.port}")) as link:
            link.limit(0.2)
            proxy.stall()
            with pytest.raises(errors.DeadlineExceeded):
                await link.call("PING")


async def test_an_earlier_deadline_of_the_caller_counts(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        async with opened(settings(f"redis://127.0.0.1:{proxy.port}")) as link:
            proxy.stall()
            with pytest.raises(errors.DeadlineExceeded):
                await link.call("PING", until=monotonic() + 0.2)


async def test_a_path_that_takes_no_more_bytes_ends_a_send_in_time(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        async with opened(settings(f"redis://127.0.0.1:{proxy.port}", answer_timeout=0.5)) as link:
            proxy.stall()
            with pytest.raises(errors.DeadlineExceeded, match="did not take what was sent in time"):
                await link.send([("SET", "key", b"x" * 100_000_000)])


async def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        proxy.stall()
        link = RedisLink(settings(f"redis://127.0.0.1:{proxy.port}", connect_timeout=0.3))
        with pytest.raises(errors.DeadlineExceeded):
            await link.open(soon())


async def test_a_killed_server_is_found_again_when_it_is_back(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        await link.call("SET", "key", "kept")
        redis_server.kill()
        with pytest.raises(errors.ConnectionError):
            await link.call("GET", "key")
        with pytest.raises(errors.ConnectionRefused):
            await link.call("GET", "key")
        redis_server.start()
        assert await link.call("GET", "key") == b"kept"


async def test_garbage_is_an_error_and_the_next_call_works(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        async with opened(settings(f"redis://127.0.0.1:{proxy.port}")) as link:
            proxy.garbage(b"HTTP/1.1 400 Bad Request\r\n")
            with pytest.raises(errors.ProtocolError, match="does not answer as Redis does"):
                await link.call("PING")
            assert await link.call("PING") == b"PONG"


async def test_a_child_that_forgets_the_parents_connection_makes_its_own(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        first = await link.call("CLIENT", "ID")
        link.discard()
        assert await link.call("CLIENT", "ID") != first
