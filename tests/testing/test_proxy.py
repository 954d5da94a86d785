"""The fault proxy, between real sockets on loopback."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from dulse.testing.proxy import Direction, FaultProxy

PATIENCE = 10.0
SILENCE = 0.05
"""Seconds in which nothing may arrive; a machine under load makes the test weaker, never wrong."""


class Network:
    """A server that we accept for by hand, a proxy to it, and clients of that."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.listener = self._kept(socket.create_server(("127.0.0.1", 0)))
        self.listener.settimeout(PATIENCE)
        self.proxy = stack.enter_context(FaultProxy("127.0.0.1", self.listener.getsockname()[1]))

    def connect(self) -> socket.socket:
        return self._kept(socket.create_connection(("127.0.0.1", self.proxy.port), PATIENCE))

    def accept(self) -> socket.socket:
        server, _ = self.listener.accept()
        server.settimeout(PATIENCE)
        return self._kept(server)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """A client, and the server's side of its connection."""
        client = self.connect()
        return client, self.accept()

    def _kept(self, link: socket.socket) -> socket.socket:
        return self._stack.enter_context(link)


@pytest.fixture
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        yield Network(stack)


def receive(link: socket.socket, count: int) -> bytes:
    """Receive so many bytes, or those until an end."""
    data = bytearray()
    while len(data) < count and (piece := link.recv(count - len(data))):
        data += piece
    return bytes(data)


def is_silent(link: socket.socket) -> bool:
    link.settimeout(SILENCE)
    try:
        link.recv(1)
    except TimeoutError:
        return True
    finally:
        link.settimeout(PATIENCE)
    return False


@contextmanager
def in_background(call: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=call)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_bytes_pass_both_ways_and_are_counted(network: Network) -> None:
    client, server = network.pair()
    client.sendall(b"question")
    assert receive(server, 8) == b"question"
    server.sendall(b"an answer")
    assert receive(client, 9) == b"an answer"
    network.proxy.wait_until(lambda: (network.proxy.bytes_to_server, network.proxy.bytes_to_client) == (8, 9))
    assert (network.proxy.connections, network.proxy.open_connections) == (1, 1)


def test_a_megabyte_passes_unchanged(network: Network) -> None:
    client, server = network.pair()
    sent = os.urandom(1 << 20)
    with in_background(lambda: client.sendall(sent)):
        assert receive(server, len(sent)) == sent


def test_an_end_passes_and_the_other_way_stays_open(network: Network) -> None:
    client, server = network.pair()
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert receive(server, 100) == b"last words"
    server.sendall(b"heard")
    server.close()
    assert receive(client, 100) == b"heard"
    client.close()
    network.proxy.wait_until(lambda: network.proxy.open_connections == 0)


def test_a_reset_passes(network: Network) -> None:
    client, server = network.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_cut_resets_both_sides(network: Network) -> None:
    client, server = network.pair()
    assert network.proxy.cut() == 1
    for link in (client, server):
        with pytest.raises(ConnectionResetError):
            link.recv(1)


def test_cut_reaches_a_connection_that_has_just_been_made(network: Network) -> None:
    for _ in range(20):
        client = network.connect()
        assert network.proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_after_a_cut_new_connections_are_served(network: Network) -> None:
    network.pair()
    network.proxy.cut()
    client, server = network.pair()
    client.sendall(b"again")
    assert receive(server, 5) == b"again"
    assert network.proxy.connections == 2


def test_cut_after_lets_exactly_so_many_bytes_pass(network: Network) -> None:
    client, server = network.pair()
    network.proxy.cut_after(1000)
    client.sendall(bytes(5000))
    assert receive(server, 1000) == bytes(1000)
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    assert network.proxy.bytes_to_server == 1000


def test_cut_after_happens_once(network: Network) -> None:
    client, server = network.pair()
    network.proxy.cut_after(1)
    client.sendall(b"12")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    client, server = network.pair()
    client.sendall(b"12")
    assert receive(server, 2) == b"12"


def test_finish_ends_both_sides_in_order(network: Network) -> None:
    client, server = network.pair()
    assert network.proxy.finish() == 1
    assert (client.recv(1), server.recv(1)) == (b"", b"")
    client.close()
    server.close()
    network.proxy.wait_until(lambda: network.proxy.open_connections == 0)


def test_a_stall_holds_bytes_and_resume_lets_them_go(network: Network) -> None:
    client, server = network.pair()
    network.proxy.stall()
    client.sendall(b"held")
    server.sendall(b"too")
    assert is_silent(server)
    assert is_silent(client)
    network.proxy.resume()
    assert (receive(server, 4), receive(client, 3)) == (b"held", b"too")


def test_a_stall_of_one_direction_leaves_the_other_alone(network: Network) -> None:
    client, server = network.pair()
    network.proxy.stall(Direction.TO_CLIENT)
    client.sendall(b"passes")
    assert receive(server, 6) == b"passes"
    server.sendall(b"held")
    assert is_silent(client)


def test_a_stall_holds_the_end_of_a_connection(network: Network) -> None:
    client, server = network.pair()
    network.proxy.stall()
    server.close()
    assert is_silent(client)
    network.proxy.resume()
    assert client.recv(1) == b""


def test_a_stall_takes_new_connections_and_holds_them(network: Network) -> None:
    network.proxy.stall()
    client = network.connect()
    client.sendall(b"hello")
    server = network.accept()
    assert is_silent(server)
    network.proxy.resume()
    assert receive(server, 5) == b"hello"


def test_a_stalled_sender_is_blocked_in_the_end(network: Network) -> None:
    client, server = network.pair()
    network.proxy.stall()
    client.settimeout(0.5)
    with in_background(lambda: receive(server, 32 << 20)):
        with pytest.raises(TimeoutError):
            client.sendall(bytes(32 << 20))
        network.proxy.finish()


def test_a_half_open_path_drops_bytes_both_ways(network: Network) -> None:
    client, server = network.pair()
    network.proxy.half_open()
    client.sendall(b"lost")
    server.sendall(b"as well")
    network.proxy.wait_until(lambda: network.proxy.bytes_dropped == 11)
    assert is_silent(server)
    assert is_silent(client)


def test_a_half_open_path_drops_the_end_of_a_connection(network: Network) -> None:
    client, server = network.pair()
    network.proxy.half_open()
    server.close()
    assert is_silent(client)


def test_a_half_open_path_accepts_new_connections_and_never_answers(network: Network) -> None:
    network.proxy.half_open()
    client = network.connect()
    client.sendall(b"anybody?")
    network.proxy.wait_until(lambda: network.proxy.bytes_dropped == 8)
    network.listener.settimeout(SILENCE)
    with pytest.raises(TimeoutError):
        network.listener.accept()
    network.proxy.resume()
    assert is_silent(client)


def test_a_client_that_leaves_a_half_open_path_is_forgotten(network: Network) -> None:
    network.proxy.half_open()
    client = network.connect()
    client.shutdown(socket.SHUT_WR)
    network.proxy.wait_until(lambda: (network.proxy.connections, network.proxy.open_connections) == (1, 0))
    assert client.recv(1) == b""


def test_after_a_half_open_time_only_what_lost_bytes_stays_silent(network: Network) -> None:
    deaf, deaf_server = network.pair()
    idle, idle_server = network.pair()
    network.proxy.half_open(Direction.TO_SERVER)
    deaf.sendall(b"lost")
    network.proxy.wait_until(lambda: network.proxy.bytes_dropped == 4)
    network.proxy.resume()
    idle.sendall(b"whole")
    assert receive(idle_server, 5) == b"whole"
    deaf.sendall(b"more")
    network.proxy.wait_until(lambda: network.proxy.bytes_dropped == 8)
    assert is_silent(deaf_server)


def test_a_slow_path_passes_no_more_than_its_rate_allows(network: Network) -> None:
    client, server = network.pair()
    network.proxy.slow(0.001, Direction.TO_SERVER)
    client.sendall(b"12")
    assert receive(server, 1) == b"1"
    assert is_silent(server)
    assert network.proxy.bytes_to_server == 1


def test_a_slow_path_can_be_resumed_in_the_middle(network: Network) -> None:
    client, server = network.pair()
    network.proxy.slow(1)
    client.sendall(bytes(100_000))
    assert receive(server, 1) == b"\0"
    network.proxy.resume()
    assert receive(server, 99_999) == bytes(99_999)


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_of_nothing_is_refused(network: Network, rate: float) -> None:
    with pytest.raises(ValueError, match="stall"):
        network.proxy.slow(rate)


def test_garbage_reaches_the_side_it_is_meant_for(network: Network) -> None:
    client, server = network.pair()
    assert network.proxy.garbage(b"\xff\x00") == 1
    assert receive(client, 2) == b"\xff\x00"
    network.proxy.garbage(b"zz", Direction.TO_SERVER)
    assert receive(server, 2) == b"zz"


def test_refused_connections_are_refused_and_open_ones_go_on(network: Network) -> None:
    client, server = network.pair()
    network.proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        network.connect()
    client.sendall(b"still here")
    assert receive(server, 10) == b"still here"


def test_after_refusing_the_same_port_serves_again(network: Network) -> None:
    port = network.proxy.port
    network.pair()
    network.proxy.refuse()
    network.proxy.resume()
    assert network.proxy.port == port
    client, server = network.pair()
    client.sendall(b"back")
    assert receive(server, 4) == b"back"


def test_clients_are_reset_while_the_server_is_down(network: Network) -> None:
    network.listener.close()
    with pytest.raises(ConnectionResetError):
        network.connect().recv(1)


def test_stopping_resets_connections_and_frees_the_port(network: Network) -> None:
    client, _ = network.pair()
    network.proxy.stop()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        network.connect()


def test_a_proxy_that_is_not_running_says_so(network: Network) -> None:
    with pytest.raises(RuntimeError, match="not running"):
        FaultProxy("127.0.0.1", 1).cut()
    network.proxy.stop()
    network.proxy.stop()
    with pytest.raises(RuntimeError, match="not running"):
        network.proxy.stall()


def test_a_cut_reaches_the_peers_though_a_forked_child_is_alive(network: Network) -> None:
    client, _ = network.pair()
    client.sendall(b"x")
    network.proxy.wait_until(lambda: network.proxy.bytes_to_server == 1)
    with in_forked_child():
        network.proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@contextmanager
def in_forked_child() -> Iterator[None]:
    """A child that lives as long as the block."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        yield
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def test_waiting_for_what_does_not_come_has_an_end(network: Network) -> None:
    with pytest.raises(TimeoutError, match="did not come"):
        network.proxy.wait_until(lambda: network.proxy.connections > 0, timeout=SILENCE)
