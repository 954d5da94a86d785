"""TCP connections within a deadline, set up so that a dead peer is noticed."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any

from dulse import errors
from dulse.links.addresses import Address, Place, resolve

_SHORTEST_TRY = 0.1
"""Seconds that each of several addresses is given at least."""


NO_SETTINGS: Mapping[int, int] = MappingProxyType({})


def connect(
    place: Place, deadline: float, *, dead_after: float | None = None, settings: Mapping[int, int] = NO_SETTINGS
) -> socket.socket:
    """Connect to the first address of a place that answers, before `deadline` (of `time.monotonic`).

    The time left is shared by the addresses not tried yet. `dead_after` and `settings`: see `prepare`. Raises
    ConnectionRefused (nobody listens there, or the name is unknown), or DeadlineExceeded where nobody answered at all.
    """
    addresses = resolve(place)
    failures: list[OSError] = []
    for index, address in enumerate(addresses):
        left = deadline - monotonic()
        if left <= 0:
            break
        try:
            return _connect(address, max(left / (len(addresses) - index), _SHORTEST_TRY), dead_after, settings)
        except OSError as failure:
            failures.append(failure)
    raise unreachable(place, failures) from (failures[-1] if failures else None)


def _connect(address: Address, seconds: float, dead_after: float | None, settings: Mapping[int, int]) -> socket.socket:
    link = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        prepare(link, dead_after, settings)
        link.settimeout(seconds)
        link.connect(address.address)
    except BaseException:
        link.close()
        raise
    return link


def prepare(link: socket.socket, dead_after: float | None, settings: Mapping[int, int] = NO_SETTINGS) -> None:
    """Send small messages at once, and have the system end a connection whose peer is gone.

    `dead_after` is the seconds for which sent bytes may stay unacknowledged (TCP_USER_TIMEOUT, where the system has
    it), and within which an idle peer that is gone is found out by keep-alive probes. `settings` are further options of
    TCP, or other values of these, by number.
    """
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if dead_after:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        probe = max(1, int(dead_after / 4))
        _set(link, "TCP_KEEPIDLE", probe)
        _set(link, "TCP_KEEPINTVL", probe)
        _set(link, "TCP_KEEPCNT", 3)
        _set(link, "TCP_USER_TIMEOUT", int(dead_after * 1000))
    for number, value in settings.items():
        link.setsockopt(socket.IPPROTO_TCP, number, value)


def tcp_settings(wanted: Mapping[Any, Any]) -> dict[int, int]:
    """Check options of TCP given by number or by name, such as TCP_USER_TIMEOUT; InvalidArgument names a wrong one."""
    found: dict[int, int] = {}
    for option, value in wanted.items():
        number = getattr(socket, option, None) if isinstance(option, str) and option.startswith("TCP_") else option
        if not isinstance(number, int) or not isinstance(value, int):
            text = (
                f"socket_settings has {option!r}: {value!r}: give whole numbers to TCP's options that this system has, "
                "such as TCP_USER_TIMEOUT"
            )
            raise errors.make(errors.InvalidArgument, text)
        found[number] = int(value)
    return found


def _set(link: socket.socket, option: str, value: int) -> None:
    number = getattr(socket, option, None)
    if number is not None:
        link.setsockopt(socket.IPPROTO_TCP, number, value)


def unreachable(place: Place, failures: list[OSError]) -> Exception:
    """Build the error for a place whose addresses all failed so; none: nobody answered in time."""
    if not failures or all(isinstance(failure, TimeoutError) for failure in failures):
        return errors.make(errors.DeadlineExceeded, f"nobody answered at {place}: check host, port and firewall")
    refused = next((each for each in failures if isinstance(each, ConnectionRefusedError)), failures[-1])
    text = f"no broker can be reached at {place} ({refused.strerror or refused}): check host and port"
    return errors.make(errors.ConnectionRefused, text)


def no_socket(path: str, problem: OSError) -> Exception:
    """Build the error for a Unix socket that cannot be connected to."""
    if isinstance(problem, TimeoutError):
        return errors.make(
            errors.DeadlineExceeded, f"nobody answered at the socket {path!r}: is the server overloaded?"
        )
    text = f"no server can be reached at the socket {path!r} ({problem.strerror or problem}): check the path and rights"
    return errors.make(errors.ConnectionRefused, text)
