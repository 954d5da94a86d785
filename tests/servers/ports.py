"""Ports for servers that come and go: held from the start, so that nobody gets one between kill and restart."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"

_held: list[socket.socket] = []


def reserve() -> int:
    """Give a free port that stays ours until this process ends.

    The socket that holds it never listens, so connections are refused while no server listens there; servers set
    SO_REUSEADDR, so they may bind the port beside it. It also keeps the system from giving the port to a client, which
    could then connect to itself while the server is down.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((HOST, 0))
    _held.append(held)
    port: int = held.getsockname()[1]
    return port


def accepts(port: int) -> bool:
    """Tell whether somebody listens."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
