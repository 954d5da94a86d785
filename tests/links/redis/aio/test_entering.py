"""TLS, Unix sockets, passwords and servers that are not fit, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dulse import errors
from dulse.links.redis.aio.link import RedisLink
from tests.links.redis.aio.opened import opened
from tests.links.redis.rig import settings, soon
from tests.servers.authority import Authority
from tests.servers.redis import RedisServer

SECRET = "sesame-7351"


@pytest.fixture
def guarded(redis_server: RedisServer) -> Iterator[RedisServer]:
    """With a user of its own, and a password for the default user."""
    redis_server.cli("acl", "setuser", "smith", "on", f">{SECRET}", "~*", "+@all")
    redis_server.cli("acl", "setuser", "reader", "on", f">{SECRET}", "~*", "+@read", "+@connection")
    redis_server.cli("config", "set", "requirepass", SECRET)
    yield redis_server
    redis_server.kill()
    redis_server.start()


def local(server: RedisServer, userinfo: str) -> str:
    return f"redis://{userinfo}@{server.host}:{server.port}"


async def refused(url: str, **options: Any) -> str:
    """The words of the error with which a link does not open."""
    link = RedisLink(settings(url, **options))
    with pytest.raises(errors.DulseError) as caught:
        await link.open(soon())
    assert SECRET not in f"{caught.value} {caught.value.__cause__} {link!r} {link.settings!r}"
    return f"{type(caught.value).__name__}: {caught.value}"


async def test_tls_is_verified(redis_server: RedisServer, authority: Authority) -> None:
    async with opened(settings(redis_server.tls_url, ssl={"ca_certs": str(authority.certificate)})) as link:
        await link.call("SET", "key", b"x" * 1_000_000)
        assert await link.call("STRLEN", "key") == 1_000_000
        for number in range(100):
            await link.send([("RPUSH", "list", number)])
        assert await link.call("LLEN", "list") == 100


async def test_a_certificate_of_nobody_we_trust_is_refused(redis_server: RedisServer) -> None:
    assert "CertificateInvalid" in await refused(redis_server.tls_url)


async def test_a_certificate_for_another_name_is_refused(redis_server: RedisServer, authority: Authority) -> None:
    trust = {"ca_certs": str(authority.certificate), "server_hostname": "elsewhere.example"}
    assert "CertificateInvalid" in await refused(redis_server.tls_url, ssl=trust)


async def test_ssl_true_means_tls_also_for_a_plain_url(redis_server: RedisServer) -> None:
    url = redis_server.tls_url.replace("rediss://", "redis://")
    assert "CertificateInvalid" in await refused(url, ssl=True)


async def test_tls_to_a_plain_port_says_so(redis_server: RedisServer) -> None:
    said = await refused(redis_server.url, ssl=True, connect_timeout=1)
    assert "TLS" in said


async def test_no_tls_to_a_tls_port_says_so(redis_server: RedisServer) -> None:
    said = await refused(f"redis://localhost:{redis_server.tls_port}", connect_timeout=5)
    assert "TLS" in said


async def test_a_unix_socket_is_connected_to(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.socket_url, db=2)) as link:
        assert await link.call("SET", "key", "two") == b"OK"
    assert redis_server.cli("-n", "2", "get", "key") == "two"


async def test_a_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = await refused(f"redis+socket://{tmp_path}/none")
    assert said.startswith("ConnectionRefused")
    assert f"{tmp_path}/none" in said


async def test_user_and_password_let_in(guarded: RedisServer) -> None:
    for userinfo in (f":{SECRET}", f"smith:{SECRET}"):
        async with opened(settings(local(guarded, userinfo))) as link:
            assert await link.call("PING") == b"PONG"


@pytest.mark.parametrize("userinfo", [":wrong", "smith:wrong", "nobody:wrong"])
async def test_a_wrong_password_is_refused(guarded: RedisServer, userinfo: str) -> None:
    said = await refused(local(guarded, userinfo))
    assert said.startswith("AuthenticationFailed")
    assert "does not accept this user and password" in said


async def test_a_missing_password_is_refused(guarded: RedisServer) -> None:
    said = await refused(guarded.url)
    assert said.startswith("AuthenticationFailed")
    assert "wants a password" in said


async def test_a_provider_is_asked_before_each_connection(guarded: RedisServer) -> None:
    asked: list[str] = []

    def give() -> tuple[str, str]:
        asked.append("")
        return "smith", SECRET

    async with opened(settings(guarded.url, credential_provider=give)) as link:
        assert await link.call("ACL", "WHOAMI") == b"smith"
        link.discard()
        assert await link.call("ACL", "WHOAMI") == b"smith"
    assert len(asked) == 2


async def test_a_callable_gives_the_password(guarded: RedisServer) -> None:
    async with opened(settings(local(guarded, "smith"), password=lambda: SECRET)) as link:
        assert await link.call("ACL", "WHOAMI") == b"smith"


async def test_missing_rights_are_named(guarded: RedisServer) -> None:
    async with opened(settings(local(guarded, f"reader:{SECRET}"))) as link:
        with pytest.raises(errors.AuthenticationFailed, match=r"ACL of this user.*set"):
            await link.call("SET", "key", 1)


async def test_a_replica_is_refused_when_it_is_written_to(redis_server: RedisServer, tmp_path: Path) -> None:
    replica = RedisServer(tmp_path / "replica", None, ["--replicaof", redis_server.host, str(redis_server.port)])
    replica.start()
    try:
        async with opened(settings(replica.url)) as link:
            with pytest.raises(errors.StorageReadOnly, match=r"replica.*name the master"):
                await link.call("SET", "key", 1)
    finally:
        replica.kill()


async def test_a_server_without_memory_says_so(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url)) as link:
        redis_server.cli("config", "set", "maxmemory", "1")
        try:
            with pytest.raises(errors.StorageFull, match="maxmemory"):
                await link.call("SET", "key", 1)
        finally:
            redis_server.cli("config", "set", "maxmemory", "0")


async def test_a_database_that_does_not_exist_is_refused(redis_server: RedisServer) -> None:
    said = await refused(redis_server.url[:-1] + "77")
    assert said.startswith("InvalidArgument")


async def test_the_name_of_the_client_is_shown(redis_server: RedisServer) -> None:
    async with opened(settings(redis_server.url, client_name="worker-7")) as link:
        assert await link.call("CLIENT", "GETNAME") == b"worker-7"
