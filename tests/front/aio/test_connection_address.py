"""What a Connection knows of its broker before anything is opened."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.policy.clocks import VirtualClock
from dulse.transport import Driver, Settings
from tests.front.aio.faulty import FaultyBroker


def open_nothing(settings: Settings) -> Any:
    return settings


LISTENING = Driver("listening", open_nothing, open_nothing, default_port=5672, heartbeats=True)


def listening(place: Any, *others: Any, **parts: Any) -> Connection:
    """Make a connection to a broker that has hosts, ports and users."""
    names = ("userid", "password", "virtual_host", "port")
    return Connection(place, transport=LISTENING, **dict(zip(names, others, strict=False)), **parts)


def test_a_url_is_taken_apart() -> None:
    connection = listening("listening://user:p%40ss@example.com:1234/shop")
    parts = (connection.hostname, connection.port, connection.userid, connection.password, connection.virtual_host)
    assert parts == ("example.com", 1234, "user", "p@ss", "shop")
    assert connection.host == "example.com:1234"


def test_keywords_fill_in_what_the_url_leaves_open() -> None:
    connection = listening("listening://example.com", userid="user", password="secret", port=99, virtual_host="shop")
    parts = (connection.hostname, connection.port, connection.userid, connection.password, connection.virtual_host)
    assert parts == ("example.com", 99, "user", "secret", "shop")


def test_parts_may_be_given_without_a_url() -> None:
    connection = listening("example.com", "user", "secret", "shop", 1234)
    assert connection.as_uri(include_password=True) == "listening://user:secret@example.com:1234/shop"


def test_a_bare_host_may_have_a_port() -> None:
    connection = listening("example.com:1234")
    assert (connection.hostname, connection.port) == ("example.com", 1234)


def test_the_virtual_host_is_a_slash_where_none_is_given() -> None:
    assert listening("listening://example.com").virtual_host == "/"


def test_the_query_holds_keywords_and_transport_options() -> None:
    connection = listening("listening://example.com?heartbeat=10&connect_timeout=500ms&speed=high")
    assert connection.heartbeat == 10
    assert connection.connect_timeout == 0.5
    assert connection.transport_options == {"speed": "high"}


def test_the_query_and_the_given_options_are_joined() -> None:
    connection = Connection("memory://?lease=30", transport_options={"max_hold": 60})
    assert connection.transport_options == {"lease": "30", "max_hold": 60}


def test_tls_options_of_the_query_join_the_given_ones() -> None:
    connection = listening("listening://example.com?ssl_cert_reqs=none", ssl={"keyfile": "key.pem"})
    assert connection.ssl == {"keyfile": "key.pem", "cert_reqs": "CERT_NONE"}


def test_the_driver_is_given_what_was_configured() -> None:
    connection = listening(
        "listening://example.com/shop", ssl=True, heartbeat=10, login_method="PLAIN", transport_options={"speed": 1}
    )
    settings = connection.settings()
    assert settings.options == {"speed": 1, "ssl": True, "heartbeat": 10, "login_method": "PLAIN"}
    assert settings.parameters.virtual_host == "shop"


def test_options_of_a_link_are_not_given_to_a_driver_without_one() -> None:
    assert Connection("memory://", heartbeat=10, login_method="PLAIN").settings().options == {}


def test_tls_for_a_transport_that_has_none_is_refused() -> None:
    with pytest.raises(errors.UnknownOption, match="ssl"):
        Connection("memory://", ssl=True)


def test_an_unknown_transport_option_is_named_at_once() -> None:
    with pytest.raises(errors.UnknownOption, match=r"'leese'.*'lease'"):
        Connection("memory://", transport_options={"leese": 30})


def test_an_unknown_keyword_is_named() -> None:
    with pytest.raises(TypeError, match="hartbeat"):
        Connection("memory://", hartbeat=10)  # type: ignore[call-arg]


def test_an_unknown_scheme_is_refused_at_once() -> None:
    with pytest.raises(errors.UnknownTransport, match=r"'memroy'.*'memory'"):
        Connection("memroy://")


def test_an_alternate_of_an_unknown_scheme_is_refused_at_once() -> None:
    with pytest.raises(errors.UnknownTransport, match="'memroy'"):
        Connection("memory://;memroy://")


def test_an_unknown_failover_strategy_is_refused_at_once() -> None:
    with pytest.raises(errors.InvalidArgument, match="'best'"):
        Connection("memory://a;memory://b", failover_strategy="best")


def test_nothing_shows_the_password() -> None:
    connection = listening("listening://user:secret@example.com?token=hidden")
    for shown in (repr(connection), connection.as_uri(), repr(connection.__eqhash__()), repr(connection.transport)):
        assert "secret" not in shown
        assert "hidden" not in shown
    assert connection.as_uri() == "listening://user:**@example.com/"
    assert connection.as_uri(mask="?") == "listening://user:?@example.com/"


def test_a_password_may_be_asked_for_at_each_connecting() -> None:
    passwords = iter(["first", "second"])
    connection = listening("listening://user@example.com", password=lambda: next(passwords))
    assert connection.as_uri() == "listening://user:**@example.com/"
    assert connection.settings().parameters.password == "first"
    assert connection.settings().parameters.password == "second"


def test_info_has_the_documented_order_and_filled_in_defaults() -> None:
    info = listening("listening://user:secret@example.com", transport_options={"speed": 1}).info()
    assert list(info) == [
        "hostname",
        "userid",
        "password",
        "virtual_host",
        "port",
        "insist",
        "ssl",
        "transport",
        "connect_timeout",
        "transport_options",
        "login_method",
        "uri_prefix",
        "heartbeat",
        "failover_strategy",
        "alternates",
        "credential_provider",
    ]
    assert info["port"] == 5672
    assert info["virtual_host"] == "/"
    assert info["transport"] == "listening"
    assert info["password"] == "secret"


def test_the_transport_is_known_by_its_name() -> None:
    assert Connection("memory://").transport_cls == "memory"
    assert Connection("memory://").info()["transport"] == "memory"


def test_a_clone_leads_to_the_same_place_with_the_same_options() -> None:
    connection = listening(
        "listening://user:secret@a.example;listening://b.example", heartbeat=3, transport_options={"speed": 1}
    )
    twin = connection.clone()
    assert twin is not connection
    assert twin.info() == connection.info()
    assert twin.__eqhash__() == connection.__eqhash__()
    assert twin.as_uri(include_password=True) == connection.as_uri(include_password=True)


def test_a_clone_may_differ_in_what_is_named() -> None:
    connection = listening("listening://user:secret@example.com", virtual_host="shop")
    assert connection.clone(virtual_host="office").virtual_host == "office"
    with pytest.raises(TypeError, match="office"):
        connection.clone(office="shop")


def test_changing_a_clones_options_leaves_the_original_alone() -> None:
    connection = Connection("memory://", transport_options={"lease": 30})
    connection.clone().transport_options["lease"] = 60
    assert connection.transport_options == {"lease": 30}


def test_a_copied_connection_is_a_clone() -> None:
    clock = VirtualClock()
    connection = Connection("memory://a", clock=clock)
    assert copy.copy(connection).as_uri() == connection.as_uri()
    assert copy.copy(connection).clock is clock


def test_a_connection_survives_pickling() -> None:
    connection = Connection("memory://a;memory://b", transport_options={"lease": 30}, connect_timeout=2)
    twin = pickle.loads(pickle.dumps(connection))
    assert twin.info() == connection.info()
    assert twin.__eqhash__() == connection.__eqhash__()


def test_connections_to_the_same_place_are_told_by_their_key() -> None:
    connection = listening("listening://example.com", transport_options={"a": 1, "b": 2})
    key = connection.__eqhash__()
    assert key == listening("listening://example.com", transport_options={"b": 2, "a": 1}).__eqhash__()
    assert key != listening("listening://example.com", transport_options={"a": 1}).__eqhash__()
    assert key != listening("listening://example.com/shop", transport_options={"a": 1, "b": 2}).__eqhash__()


def test_an_assigned_part_holds_for_the_next_connecting() -> None:
    connection = listening("listening://example.com")
    connection.hostname, connection.port, connection.virtual_host = "other.example", 7, "shop"
    assert connection.as_uri() == "listening://other.example:7/shop"
    assert connection.settings().parameters.hostname == "other.example"


def test_several_places_are_alternates() -> None:
    places = ["listening://a.example", "listening://b.example"]
    for given in (";".join(places), places):
        connection = listening(given)
        assert connection.alt == places
        assert connection.hostname == "a.example"


def test_an_only_place_has_no_alternates() -> None:
    connection = Connection("memory://a")
    assert connection.alt == []
    assert connection.cycle is None
    assert connection.completes_cycle(0)


def test_the_first_place_is_an_alternate_too() -> None:
    connection = listening("listening://a.example", alternates=["listening://b.example"])
    assert connection.alt == ["listening://a.example", "listening://b.example"]


def test_a_round_is_complete_when_each_alternate_was_tried() -> None:
    connection = Connection("memory://a;memory://b;memory://c")
    assert [connection.completes_cycle(retries) for retries in range(6)] == [False, False, True, False, False, True]


def test_a_failover_strategy_may_be_a_function() -> None:
    connection = Connection("memory://a;memory://b", failover_strategy=reversed)
    assert connection.hostname == "b"


async def test_the_next_alternate_is_switched_to() -> None:
    connection = Connection("memory://a;memory://b?lease=30")
    await connection.maybe_switch_next()
    assert (connection.hostname, connection.transport_options) == ("b", {"lease": "30"})
    await connection.maybe_switch_next()
    assert (connection.hostname, connection.transport_options) == ("a", {})


async def test_switching_to_a_bare_host_keeps_the_keywords() -> None:
    connection = listening("listening://user@a.example", virtual_host="shop")
    await connection.switch("b.example")
    assert connection.as_uri() == "listening://b.example/shop"


def test_what_a_transport_can_do_is_known_without_connecting(url: str) -> None:
    connection = Connection(url)
    assert connection.transport.driver_type == "memory"
    assert connection.transport.driver_name == "memory"
    assert connection.transport.driver_version()
    assert connection.supports_exchange_type("fanout")
    assert not connection.supports_exchange_type("x-unknown")
    assert not connection.supports_heartbeats
    assert connection.get_heartbeat_interval() == 0
    assert not connection.is_evented
    assert not connection.qos_semantics_matches_spec
    assert not connection.connected


def test_the_heartbeat_is_told_where_there_is_one() -> None:
    connection = listening("listening://example.com", heartbeat=10)
    assert connection.supports_heartbeats
    assert connection.get_heartbeat_interval() == 10


def test_a_transport_may_be_given_as_a_driver(url: str) -> None:
    broker = FaultyBroker(url)
    connection = Connection("anything://example.com", transport=broker.driver)
    assert connection.transport.driver_name == "faulty"
    assert connection.transport.host == "example.com:7"
