"""What goes wrong with Redis is told by an error of its kind, which names the server and never the password."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dulse import Connection, Message, Queue, errors
from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.model.parameters import parse_url
from dulse.model.records import Put, Target
from dulse.transports.redis.sync.storage import RedisStorage
from tests.servers.redis import RedisServer

SECRET = "s3cret"
WORK = Queue("work")


def storage_of(url: str) -> RedisStorage:
    return RedisStorage(settings_from(parse_url(url), LinkOptions()))


@contextmanager
def opened(url: str) -> Iterator[RedisStorage]:
    storage = storage_of(url)
    storage.open(10)
    try:
        yield storage
    finally:
        storage.close(5)


@contextmanager
def configured(server: RedisServer, name: str, value: str) -> Iterator[None]:
    before = server.cli("config", "get", name).partition("\n")[2]
    server.cli("config", "set", name, value)
    try:
        yield
    finally:
        server.cli("config", "set", name, before)


def refuses(url: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as raised, opened(url):
        pass
    assert SECRET not in str(raised.value)


def test_a_server_that_is_absent_refuses() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        refuses(f"redis://:{SECRET}@127.0.0.1:{port}", errors.ConnectionRefused, f"127.0.0.1:{port}")


def test_a_wrong_password_is_told_and_not_repeated(redis_server: RedisServer) -> None:
    redis_server.cli("acl", "setuser", "somebody", "on", ">right", "+@all", "~*", "&*")
    url = f"redis://somebody:{SECRET}@{redis_server.host}:{redis_server.port}"
    try:
        refuses(url, errors.AuthenticationFailed, "does not accept")
    finally:
        redis_server.cli("acl", "deluser", "somebody")


def test_missing_rights_are_told(redis_server: RedisServer) -> None:
    redis_server.cli("acl", "setuser", "somebody", "on", f">{SECRET}", "+@all", "-@scripting", "~*", "&*")
    url = f"redis://somebody:{SECRET}@{redis_server.host}:{redis_server.port}"
    try:
        refuses(url, errors.AuthenticationFailed, "does not allow what a broker needs")
    finally:
        redis_server.cli("acl", "deluser", "somebody")


def test_a_replica_that_can_only_be_read_is_told(redis_server: RedisServer) -> None:
    with opened(redis_server.url):
        redis_server.cli("replicaof", "127.0.0.1", "1")
    try:
        with pytest.raises(errors.StorageReadOnly, match="name the master"), opened(redis_server.url) as storage:
            storage.put([Put(b"1", [Target("q")])])
    finally:
        redis_server.cli("replicaof", "no", "one")


def test_keys_of_a_newer_release_are_left_alone(redis_server: RedisServer) -> None:
    redis_server.cli("set", "dulse.version", "99")

    refuses(redis_server.url, errors.StorageCorrupt, "version 99")


def test_no_memory_left_is_told_and_what_waits_can_still_be_consumed(redis_server: RedisServer) -> None:
    with opened(redis_server.url) as storage:
        storage.put([Put(b"1", [Target("q")]), Put(b"2", [Target("q")])])
        with configured(redis_server, "maxmemory", "1mb"):
            with pytest.raises(errors.StorageFull, match="maxmemory"):
                storage.put([Put(b"3", [Target("q")])])
            with pytest.raises(errors.StorageFull, match="maxmemory"):
                storage.put([Put(b"3", [Target("q"), Target("r")])] * 2)
            assert storage.renew("owner", 60_000)
            (one,), _ = storage.reserve([("q", 1)], "owner", 60_000)
            (two,), lost = storage.reserve([("q", 1)], "owner", 60_000, [one.token])
            assert not lost
            assert not storage.release([two.token], "owner")
            assert storage.renew("owner", 60_000)
            assert not storage.forget("owner", force=True)
        assert [depth.ready for depth in storage.depth(["q", "r"])] == [1, 0]


def test_what_was_published_while_no_memory_was_left_is_written_when_there_is_some(redis_server: RedisServer) -> None:
    with Connection(redis_server.url) as connection:
        WORK(connection.default_channel).declare()
        producer = connection.Producer()
        with configured(redis_server, "maxmemory", "1mb"):
            for number in range(10):
                producer.publish({"ident": number}, routing_key="work")
            with pytest.raises(errors.StorageFull, match="maxmemory"):
                producer.flush(timeout=30)
        producer.flush(timeout=30)

        assert [message.payload["ident"] for message in iter(WORK(connection.default_channel).get, None)] == list(
            range(10)
        )


def test_a_key_of_somebody_else_is_told_and_holds_up_nobody(redis_server: RedisServer) -> None:
    redis_server.cli("set", "theirs", "something")
    with opened(redis_server.url) as storage:
        with pytest.raises(errors.PublishError, match="foreign value"):
            storage.put([Put(b"1", [Target("theirs")])])
        with pytest.raises(errors.StorageCorrupt, match="foreign value"):
            storage.reserve([("theirs", 1)], "owner", 60_000)

        storage.put([Put(b"1", [Target("q")])])

        assert storage.depth(["q"])[0].ready == 1
    assert redis_server.cli("get", "theirs") == "something"


@pytest.mark.parametrize("foreign", ["not ours", "", '{"body": "", "headers": {}}', "x" * 5000])
def test_a_record_that_nobody_of_ours_wrote_is_set_aside_and_the_rest_go_on(
    redis_server: RedisServer, foreign: str
) -> None:
    with Connection(f"{redis_server.url}") as connection:
        channel = connection.default_channel
        queue = WORK(channel)
        queue.declare()
        producer = connection.Producer()
        producer.publish("one", routing_key="work")
        producer.flush()
        redis_server.cli("lpush", "work", foreign)
        producer.publish("two", routing_key="work")
        producer.flush()
        found: list[object] = []

        def take(body: object, message: Message[object]) -> None:
            found.append(body)
            message.ack()

        with connection.Consumer(queue, callbacks=[take]):
            while len(found) < 2:
                connection.drain_events(timeout=10)
        aside = Queue("dulse.set-aside")(channel).get()

    assert found == ["one", "two"]
    assert aside is not None
    assert bytes(aside.body) == foreign.encode()
    assert aside.headers["x-set-aside-queue"] == "work"


def test_a_name_with_the_separator_of_priorities_is_refused(redis_server: RedisServer) -> None:
    name = "work\x06\x163"
    with opened(redis_server.url) as storage:
        with pytest.raises(errors.InvalidArgument, match="separate the priorities"):
            storage.change({}, {(f"q/{name}", "a"): "1"})
        with pytest.raises(errors.InvalidArgument, match="separate the priorities"):
            storage.put([Put(b"1", [Target(name)])] * 2)


@pytest.mark.parametrize("options", ["", "?confirm_publish=true", "?fleet=mixed"])
@pytest.mark.parametrize("setting", ["proto-max-bulk-len", "client-query-buffer-limit"])
def test_a_message_that_is_too_large_for_the_server_is_refused_and_holds_up_nobody(
    redis_server: RedisServer, setting: str, options: str
) -> None:
    with configured(redis_server, setting, "2mb"), Connection(f"{redis_server.url}{options}") as connection:
        queue = WORK(connection.default_channel)
        queue.declare()
        producer = connection.Producer()
        producer.publish(b"x" * 1_500_000, routing_key="work")
        with pytest.raises(errors.NotSupported, match=setting):
            producer.publish(b"x" * 2_500_000, routing_key="work")
        producer.publish(b"small", routing_key="work")
        producer.flush(timeout=30)

        assert [len(message.body) for message in iter(queue.get, None)] == [1_500_000, 5]


def test_a_user_who_may_not_see_the_settings_can_publish_large_messages(redis_server: RedisServer) -> None:
    redis_server.cli("acl", "setuser", "somebody", "on", f">{SECRET}", "+@all", "-config", "~*", "&*")
    try:
        with Connection(f"redis://somebody:{SECRET}@{redis_server.host}:{redis_server.port}") as connection:
            queue = WORK(connection.default_channel)
            queue.declare()
            producer = connection.Producer()
            producer.publish(b"x" * 1_500_000, routing_key="work")
            producer.flush(timeout=30)
            message = queue.get()
            assert message is not None
            assert len(message.body) == 1_500_000
            message.ack()
    finally:
        redis_server.cli("acl", "deluser", "somebody")
