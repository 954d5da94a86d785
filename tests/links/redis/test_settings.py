"""What an address and options mean for a link, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.links.addresses import Place
from dulse.links.redis.settings import Layout
from tests.links.redis.rig import settings


def test_a_plain_url_names_one_server_and_a_database() -> None:
    found = settings("redis://example.org:7000/3")
    assert (found.layout, found.places, found.db, found.tls) == (Layout.SINGLE, (Place("example.org", 7000),), 3, None)


def test_what_is_left_out_has_its_default() -> None:
    found = settings("redis://")
    assert (found.places, found.db, found.credentials.ask()) == ((Place("localhost", 6379),), 0, (None, None))


def test_user_and_password_are_those_of_the_url() -> None:
    assert settings("redis://me:s%40crt@host").credentials.ask() == ("me", "s@crt")
    assert settings("redis://:alone@host").credentials.ask() == (None, "alone")


def test_no_text_of_settings_shows_a_secret() -> None:
    found = settings("sentinel://me:hidden1@host", master_name="m", sentinel_password="hidden2")
    assert "hidden" not in f"{found!r} {found} {found.credentials!r} {found.sentinel!r}"


def test_rediss_is_tls_that_is_verified() -> None:
    tls = settings("rediss://host").tls
    assert tls is not None
    assert tls.context.check_hostname


@pytest.mark.parametrize(("given", "is_tls"), [(True, True), ("true", True), (False, False), ("false", False)])
def test_the_option_ssl_alone_decides_for_a_plain_url(given: Any, is_tls: bool) -> None:
    assert (settings("redis://host", ssl=given).tls is not None) is is_tls


def test_a_socket_url_names_a_path_from_the_root() -> None:
    found = settings("redis+socket:///run/redis.sock", db=4)
    assert (found.places, found.db) == (("/run/redis.sock",), 4)


def test_sentinels_are_gathered_from_all_urls() -> None:
    found = settings("sentinel://a:1/2;sentinel://b:2;sentinel://c", master_name="mine", sentinel_password="x")
    assert found.places == (Place("a", 1), Place("b", 2), Place("c", 26379))
    assert (found.layout, found.db) == (Layout.SENTINEL, 2)
    assert found.sentinel is not None
    assert found.sentinel.master_name == "mine"
    assert found.sentinel.credentials.ask() == (None, "x")


def test_several_sentinels_may_stand_in_one_url() -> None:
    assert settings("sentinel://a:1,b:2", master_name="m").places == (Place("a", 1), Place("b", 2))


def test_kombus_words_for_sentinels_are_understood() -> None:
    given = {"username": "u", "password": "p"}
    found = settings("sentinel://a", service_name="m", sentinel_kwargs=given)
    assert found.sentinel is not None
    assert found.sentinel.credentials.ask() == ("u", "p")


def test_nodes_of_a_cluster_are_gathered() -> None:
    found = settings("redis+cluster://a:1;redis+cluster://b:2")
    assert (found.layout, found.places) == (Layout.CLUSTER, (Place("a", 1), Place("b", 2)))


@pytest.mark.parametrize("gives", ["secret", ("me", "secret"), ["me", "secret"]])
def test_a_provider_may_be_a_callable(gives: Any) -> None:
    found = settings("redis://me@host", credential_provider=lambda: gives)
    assert found.credentials.ask() == ("me", "secret")


def test_a_provider_may_be_an_object_of_redis_py() -> None:
    class Provider:
        def get_credentials(self) -> tuple[str]:
            return ("token",)

    assert settings("redis://host", credential_provider=Provider()).credentials.ask() == (None, "token")


@pytest.mark.parametrize("gives", [None, 7, (), ("a", "b", "c"), (b"bytes",)])
def test_a_provider_that_gives_something_else_is_an_error(gives: Any) -> None:
    with pytest.raises(errors.AuthenticationFailed, match="a password, or a user and one"):
        settings("redis://host", credential_provider=lambda: gives).credentials.ask()


def test_a_provider_that_fails_is_an_error() -> None:
    def fails() -> str:
        raise RuntimeError("vault sealed")

    with pytest.raises(errors.AuthenticationFailed, match="RuntimeError"):
        settings("redis://host", credential_provider=fails).credentials.ask()


@pytest.mark.parametrize(
    ("url", "options", "kind", "words"),
    [
        ("redis://host/name", {}, errors.InvalidURL, "the number of a database"),
        ("redis://host/1", {"db": 2}, errors.InvalidArgument, "only one of them"),
        ("redis://a,b", {}, errors.InvalidURL, "separated by ;"),
        ("redis+socket://host/path", {}, errors.InvalidURL, "names no host"),
        ("redis+socket://", {}, errors.InvalidURL, "names no path"),
        ("redis+tcp://host", {}, errors.InvalidURL, "it has redis://"),
        ("redis+cluster://host/1", {}, errors.InvalidURL, "database 0 alone"),
        ("sentinel://host", {}, errors.InvalidArgument, "master_name"),
        ("sentinel://host", {"master_name": "m", "sentinel_kwargs": {"port": 1}}, errors.InvalidArgument, "mapping"),
        ("redis://host", {"master_name": "m"}, errors.InvalidArgument, "belongs to sentinel"),
        ("redis://host", {"client_name": "a b"}, errors.InvalidArgument, "without spaces"),
        ("redis://host", {"credential_provider": 5}, errors.InvalidArgument, "get_credentials"),
        ("redis://host", {"databse": 5}, errors.UnknownOption, "databse"),
        ("redis://host", {"answer_timeout": 0}, errors.InvalidArgument, "answer_timeout"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, options: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        settings(url, **options)
