"""Calls that are cut short in the middle: by a cancellation, by a signal's handler, by a fork, by another loop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from typing import Any

import pytest
import uvloop

from dulse.links.redis.aio.link import RedisLink as AsyncRedisLink
from dulse.links.redis.sync.link import RedisLink
from dulse.testing.proxy import FaultProxy
from tests.links.redis.rig import settings, soon
from tests.servers.redis import RedisServer


async def test_the_answer_to_a_cancelled_call_is_not_given_to_the_next(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        link = AsyncRedisLink(settings(f"redis://127.0.0.1:{proxy.port}"))
        await link.open(soon())
        for number in range(20):
            proxy.stall()
            call = asyncio.ensure_future(link.call("ECHO", f"cancelled {number}"))
            await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            proxy.resume()
            if number % 2:
                await link.send([("INCR", "key")])
            assert await link.call("ECHO", f"next {number}") == f"next {number}".encode()
        assert await link.call("GET", "key") == b"10"
        assert proxy.connections == 1
        await link.close(soon())


async def test_a_cancelled_wait_for_ones_turn_disturbs_nobody(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        link = AsyncRedisLink(settings(f"redis://127.0.0.1:{proxy.port}"))
        await link.open(soon())
        proxy.stall()
        first = asyncio.ensure_future(link.call("ECHO", "first"))
        second = asyncio.ensure_future(link.call("ECHO", "second"))
        third = asyncio.ensure_future(link.call("ECHO", "third"))
        await asyncio.sleep(0.01)
        second.cancel()
        proxy.resume()
        assert [await first, await third] == [b"first", b"third"]
        await link.close(soon())


async def work(url: str) -> list[Any]:
    link = AsyncRedisLink(settings(url))
    await link.open(soon())
    for number in range(100):
        await link.send([("RPUSH", "list", number)])
    found = [await link.call("LLEN", "list"), await link.call("GET", "none")]
    await link.close(soon())
    return found


def test_it_runs_on_uvloop(redis_server: RedisServer) -> None:
    assert uvloop.run(work(redis_server.url)) == [100, None]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio tells of the first connection
def test_a_link_of_an_event_loop_that_has_ended_connects_anew(redis_server: RedisServer) -> None:
    links = [AsyncRedisLink(settings(redis_server.url))]

    async def ask() -> Any:
        return await links[0].call("INCR", "key")

    assert [asyncio.run(ask()), asyncio.run(ask())] == [1, 2]
    asyncio.run(links[0].close(soon()))
    links.clear()
    gc.collect()


def test_a_call_by_a_signal_handler_that_struck_in_a_call_mixes_nothing_up(redis_server: RedisServer) -> None:
    link = RedisLink(settings(redis_server.url))
    link.open(soon())
    found: list[Any] = []
    before = signal.signal(signal.SIGALRM, lambda *_: found.append(link.call("ECHO", "handler")))
    try:
        for number in range(3000):
            if number % 10 == 0:  # one at a time: a handler may take longer than any pause
                signal.setitimer(signal.ITIMER_REAL, 0.0002)
            assert link.call("ECHO", number) == b"%d" % number
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(found) == {b"handler"}
    link.close(soon())


def test_an_exception_of_a_signal_handler_leaves_a_link_that_works(redis_server: RedisServer) -> None:
    class Struck(Exception):
        pass

    def strike(*_: object) -> None:
        raise Struck

    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        link = RedisLink(settings(f"redis://127.0.0.1:{proxy.port}"))
        link.open(soon())
        proxy.stall()
        before = signal.signal(signal.SIGALRM, strike)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Struck):
                link.call("ECHO", "lost")
        finally:
            signal.signal(signal.SIGALRM, before)
        proxy.resume()
        assert link.call("ECHO", "next") == b"next"
        link.close(soon())


def test_a_forked_child_and_its_parent_each_have_a_connection(redis_server: RedisServer) -> None:
    link = RedisLink(settings(redis_server.url))
    link.open(soon())
    child = os.fork()
    if child == 0:
        try:
            link.discard()
            os._exit(0 if [link.call("ECHO", n) for n in range(50)] == [b"%d" % n for n in range(50)] else 1)
        finally:
            os._exit(2)
    assert [link.call("ECHO", -n) for n in range(1, 50)] == [b"-%d" % n for n in range(1, 50)]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    link.close(soon())


def test_what_was_sent_before_a_sudden_end_arrives(redis_server: RedisServer) -> None:
    for size in (1024, 65536):
        redis_server.cli("del", "list")
        child = os.fork()
        if child == 0:
            try:
                link = RedisLink(settings(redis_server.url))
                for _ in range(300):
                    link.send([("RPUSH", "list", b"x" * size)])
                os.kill(os.getpid(), signal.SIGKILL)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        arrived = threading.Event()
        for _ in range(600):
            if redis_server.cli("llen", "list") == "300":
                arrived.set()
                break
            threading.Event().wait(0.05)
        assert arrived.is_set()
