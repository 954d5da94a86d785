"""From what a URL names to what a socket connects to."""

from __future__ import annotations

import socket
from time import monotonic

import pytest

from dulse import errors
from dulse.links.addresses import Address, Place, places, resolve
from dulse.links.sockets import connect


def test_nothing_means_this_machine_and_the_default_port() -> None:
    assert places(None, None, 5672) == [Place("localhost", 5672)]


def test_a_port_beside_the_host_is_taken() -> None:
    assert places("broker", 5673, 5672) == [Place("broker", 5673)]


def test_several_hosts_may_have_ports_of_their_own() -> None:
    assert places("one,two:5674", 5673, 5672) == [Place("one", 5673), Place("two", 5674)]


def test_an_address_of_ipv6_needs_no_brackets_without_a_port() -> None:
    assert places("::1", None, 5672) == [Place("::1", 5672)]


def test_an_address_of_ipv6_in_brackets_may_have_a_port() -> None:
    assert places("[::1]:5673,[fe80::1]", None, 5672) == [Place("::1", 5673), Place("fe80::1", 5672)]


def test_a_port_that_is_no_number_is_refused() -> None:
    with pytest.raises(errors.InvalidURL, match="no number"):
        places("one:amqp", None, 5672)


def test_a_place_reads_as_in_a_url() -> None:
    assert [str(Place("broker", 5672)), str(Place("::1", 5672))] == ["broker:5672", "[::1]:5672"]


def test_each_address_of_a_name_is_given_once() -> None:
    found = resolve(Place("localhost", 5672))
    assert Address(socket.AF_INET, ("127.0.0.1", 5672)) in found
    assert len(found) == len(set(found))


def test_an_unknown_name_is_refused_by_its_name() -> None:
    with pytest.raises(errors.ConnectionRefused, match=r"no-such-host\.invalid"):
        resolve(Place("no-such-host.invalid", 5672))


def test_a_connection_sends_small_messages_at_once_and_notices_a_dead_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Place("127.0.0.1", server.getsockname()[1])
        with connect(place, monotonic() + 10, dead_after=8) as link:
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 8000


def test_the_next_address_of_a_name_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Place("localhost", server.getsockname()[1])  # often ::1 first, where nobody listens
        with connect(place, monotonic() + 10) as link:
            assert link.getpeername()[1] == place.port


def test_a_port_where_nobody_listens_is_refused_by_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(errors.ConnectionRefused, match=f"127.0.0.1:{port}"):
        connect(Place("127.0.0.1", port), monotonic() + 10)


def test_a_deadline_that_is_over_connects_to_nothing() -> None:
    with pytest.raises(errors.DeadlineExceeded, match="nobody answered"):
        connect(Place("127.0.0.1", 1), monotonic() - 1)
