"""What a listening link hears, and what ends its waits."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import pytest

from dulse import errors
from dulse.links.redis.aio import listening as module
from dulse.links.redis.aio.link import RedisLink
from dulse.links.redis.aio.listening import Heard, ListeningLink
from dulse.links.waiting.aio import Spawned, sleep, spawn
from dulse.testing.proxy import FaultProxy
from tests.links.redis.aio.opened import listening, opened
from tests.links.redis.rig import settings
from tests.servers.redis import RedisServer


class Listener:
    """Listens once, beside the test."""

    def __init__(self, ear: ListeningLink, *keys: str) -> None:
        self.heard: Heard | None = None
        self.error: Exception | None = None
        self._ear = ear
        self._keys = keys
        self.work: Spawned = spawn(self._listen, "listener")

    async def _listen(self) -> None:
        try:
            self.heard = await self._ear.listen([("EXISTS", *self._keys)], 60)
        except errors.DulseError as error:
            self.error = error

    async def end(self) -> Heard:
        assert await self.work.join(60)
        assert self.heard is not None
        return self.heard


async def until_tracked(link: RedisLink, keys: int) -> None:
    """Wait until the server tracks so many keys: then the listeners have looked at them."""
    while f"tracking_total_keys:{keys}\r\n".encode() not in bytes(await link.call("INFO", "stats")):
        await sleep(0.01)


def keys_of(pushes: Sequence[list[object]]) -> list[object]:
    return [push[1] for push in pushes if push[0] == b"invalidate"]


async def test_a_write_to_an_absent_key_that_was_looked_at_is_heard(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear, opened(settings(redis_server.url)) as link:
        listener = Listener(ear, "one", "two")
        await until_tracked(link, 2)
        await link.call("LPUSH", "two", 1)
        assert await listener.end() == Heard([0], [[b"invalidate", [b"two"]]])


async def test_who_is_satisfied_by_the_replies_does_not_wait(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear, opened(settings(redis_server.url)) as link:
        await link.call("LPUSH", "one", 1)
        heard = await ear.listen([("EXISTS", "one")], 60, lambda replies: replies == [1])
    assert heard == Heard([1], [])


async def test_the_time_ends_it(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear:
        assert await ear.listen([("EXISTS", "one")], 0.05) == Heard([0], [])


async def test_a_write_between_two_waits_is_told_by_the_second_reply_alone(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear, opened(settings(redis_server.url)) as link:
        await ear.listen([("EXISTS", "one")], 0.01)
        await link.call("LPUSH", "one", 1)
        await link.call("PING")
        assert await ear.listen([("EXISTS", "one")], 0.2) == Heard([1], [])


async def test_a_flush_is_heard_as_anything(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear, opened(settings(redis_server.url)) as link:
        await link.call("SET", "one", 1)
        listener = Listener(ear, "one")
        await until_tracked(link, 1)
        await link.call("FLUSHALL")
        assert (await listener.end()).pushes == [[b"invalidate", None]]


async def test_a_wake_up_ends_it(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear, opened(settings(redis_server.url)) as link:
        listener = Listener(ear, "one")
        await until_tracked(link, 1)
        ear.wake()
        assert await listener.end() == Heard([0], [], is_woken=True)
        assert await ear.listen([("EXISTS", "one")], 0.01) == Heard([0], [])


async def test_a_wake_up_that_nobody_had_ends_the_next_one(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear:
        ear.wake()
        assert (await ear.listen([("EXISTS", "one")], 60)).is_woken


async def test_several_listen_at_once_each_to_all_that_is_said(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear, opened(settings(redis_server.url)) as link:
        first = Listener(ear, "one")
        await until_tracked(link, 1)
        second = Listener(ear, "two")
        await until_tracked(link, 2)
        await link.call("LPUSH", "two", 1)
        assert keys_of((await second.end()).pushes) == [[b"two"]]
        assert keys_of((await first.end()).pushes) == [[b"two"]]


async def test_who_is_left_goes_on_listening_when_another_ends(redis_server: RedisServer) -> None:
    async with listening(settings(redis_server.url)) as ear, opened(settings(redis_server.url)) as link:
        lasting = Listener(ear, "one")
        await until_tracked(link, 1)
        for number in range(20):
            await ear.listen([("EXISTS", f"other{number}")], 0.01)
        await link.call("LPUSH", "one", 1)
        assert keys_of((await lasting.end()).pushes) == [[b"one"]]


async def test_what_is_published_to_a_pattern_of_the_greeting_is_heard(redis_server: RedisServer) -> None:
    ear = ListeningLink(settings(redis_server.url), greeting=[("PSUBSCRIBE", "news.*")])
    async with opened(settings(redis_server.url)) as link:
        listener = Listener(ear, "one")
        await until_tracked(link, 1)
        await link.call("PUBLISH", "news.today", "rain")
        assert (await listener.end()).pushes == [[b"pmessage", b"news.*", b"news.today", b"rain"]]
    await ear.close(monotonic() + 60)


async def test_a_connection_that_breaks_is_told_and_the_next_wait_has_another(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        through = settings(f"redis://127.0.0.1:{proxy.port}")
        async with listening(through) as ear, opened(settings(redis_server.url)) as link:
            listener = Listener(ear, "one")
            await until_tracked(link, 1)
            proxy.cut()
            assert await listener.work.join(60)
            assert isinstance(listener.error, errors.ConnectionLost)
            again = Listener(ear, "two")
            await until_tracked(link, 2)
            await link.call("LPUSH", "two", 1)
            assert keys_of((await again.end()).pushes) == [[b"two"]]


async def test_a_quiet_server_is_asked_for_life_and_the_wait_goes_on(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_AFTER", 0.05)
    async with listening(settings(redis_server.url)) as ear:
        began = monotonic()
        assert await ear.listen([("EXISTS", "one")], 0.5) == Heard([0], [])
        assert monotonic() - began >= 0.5
    assert "cmdstat_ping" in redis_server.cli("info", "commandstats")


async def test_a_stalled_path_is_noticed(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.PING_AFTER + module.ANSWER_WITHIN < 15
    monkeypatch.setattr(module, "PING_AFTER", 0.2)
    monkeypatch.setattr(module, "ANSWER_WITHIN", 0.3)
    with FaultProxy(redis_server.host, redis_server.port) as proxy:
        through = settings(f"redis://127.0.0.1:{proxy.port}")
        async with listening(through) as ear, opened(settings(redis_server.url)) as link:
            listener = Listener(ear, "one")
            await until_tracked(link, 1)
            proxy.stall()
            assert await listener.work.join(30)
            assert isinstance(listener.error, errors.DeadlineExceeded)
