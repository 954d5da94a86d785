"""Ports for servers that come and go: held from the start, so that nobody gets one between kill and restart."""

from __future__ import annotations

import socket
from functools import cache

HOST = "127.0.0.1"

HOST_6 = "::1"

_held: list[socket.socket] = []


def reserve() -> int:
    """Give a free port of the loopback, of both IPs, that stays ours until this process ends.

    The sockets that hold it never listen, so connections are refused while no server listens there; servers set
    SO_REUSEADDR, so they may bind the port beside it. It also keeps the system from giving the port to a client, which
    could then connect to itself while the server is down.
    """
    while True:
        held = _hold(socket.AF_INET, HOST, 0)
        port: int = held.getsockname()[1]
        _held.append(held)
        if not has_ip_6():
            return port
        try:
            _held.append(_hold(socket.AF_INET6, HOST_6, port))
        except OSError:
            continue  # taken there: another
        return port


@cache
def has_ip_6() -> bool:
    """Tell whether this machine's loopback has an address of IPv6."""
    try:
        _hold(socket.AF_INET6, HOST_6, 0).close()
    except OSError:
        return False
    return True


def _hold(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    held = socket.socket(family)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((host, port))
    except OSError:
        held.close()
        raise
    return held


def accepts(port: int) -> bool:
    """Tell whether somebody listens."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
