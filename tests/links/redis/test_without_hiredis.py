"""Where hiredis is not installed, our own code reads and writes."""

from __future__ import annotations

import pytest

from dulse.links.redis import codec, resp
from dulse.links.redis.resp import ErrorReply
from dulse.links.redis.sync.link import RedisLink
from dulse.links.redis.sync.listening import ListeningLink
from tests.links.redis.rig import settings, soon
from tests.servers.redis import RedisServer


@pytest.fixture(autouse=True)
def without_hiredis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_FAST", None)
    monkeypatch.setattr(codec, "pack", resp.pack)
    monkeypatch.setattr(codec, "push_type", resp.Push)


def test_calls_are_answered(redis_server: RedisServer) -> None:
    link = RedisLink(settings(redis_server.url))
    value = bytes(range(256)) * 4000
    assert link.call("SET", "key", value) == b"OK"
    assert link.call("GET", "key") == value
    wrong, number = link.pipeline([("LPUSH", "key", 1), ("LPUSH", "list", 1)])
    assert isinstance(wrong, ErrorReply)
    assert number == 1
    link.close(soon())


def test_invalidations_are_heard(redis_server: RedisServer) -> None:
    ear, link = ListeningLink(settings(redis_server.url)), RedisLink(settings(redis_server.url))
    ear.listen([("EXISTS", "one")], 0.01)
    link.call("LPUSH", "one", 1)
    assert ear.listen([], 60).pushes == [[b"invalidate", [b"one"]]]
    for each in (ear, link):
        each.close(soon())
