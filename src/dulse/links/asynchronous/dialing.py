"""TCP connections by the event loop: all addresses of a name, one a little after the other (RFC 8305)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest

from dulse.links.addresses import Address, Place, unknown_host
from dulse.links.sockets import NO_SETTINGS, prepare, unreachable

HEAD_START = 0.25
"""Seconds after which the next address is tried beside those that have not answered."""


async def dial(place: Place, dead_after: float | None, settings: Mapping[int, int] = NO_SETTINGS) -> socket.socket:
    """Connect to the address of a place that answers first; the caller bounds the time.

    `dead_after`, `settings`: see `prepare`. ConnectionRefused: nobody listens there, or the name is unknown.
    """
    failures: list[OSError] = []
    trying: set[asyncio.Task[socket.socket]] = set()
    addresses = iter(in_turns(await _resolve(place)))
    try:
        while True:
            address = next(addresses, None)
            if address is not None:
                trying.add(asyncio.ensure_future(_connect(address, dead_after, settings)))
            if not trying:
                raise unreachable(place, failures) from (failures[-1] if failures else None)
            pause = None if address is None else HEAD_START
            done, trying = await asyncio.wait(trying, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            connected = _first_of(done, failures)
            if connected is not None:
                return connected
    finally:
        for task in trying:
            task.cancel()
            task.add_done_callback(_close_late)


def in_turns(addresses: Sequence[Address]) -> list[Address]:
    """Put addresses in the order of trying: the first family and the others by turns, each in the given order."""
    if not addresses:
        return []
    first = [each for each in addresses if each.family == addresses[0].family]
    others = [each for each in addresses if each.family != addresses[0].family]
    return [each for each in chain.from_iterable(zip_longest(first, others)) if each is not None]


async def _resolve(place: Place) -> list[Address]:
    literal = _literal(place)
    if literal is not None:
        return [literal]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise unknown_host(place, error) from error
    return list(dict.fromkeys(Address(family, address) for family, _, _, _, address in found))


def _literal(place: Place) -> Address | None:
    """Give the address that the host is already, so that no resolver's thread is needed."""
    try:
        version = ipaddress.ip_address(place.host).version
    except ValueError:
        return None
    if version == 4:  # noqa: PLR2004 - IPv4
        return Address(socket.AF_INET, (place.host, place.port))
    return Address(socket.AF_INET6, (place.host, place.port, 0, 0)) if "%" not in place.host else None


async def _connect(address: Address, dead_after: float | None, settings: Mapping[int, int]) -> socket.socket:
    link = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        link.setblocking(False)
        prepare(link, dead_after, settings)
        await asyncio.get_running_loop().sock_connect(link, address.address)
    except BaseException:
        link.close()
        raise
    return link


def _first_of(done: set[asyncio.Task[socket.socket]], failures: list[OSError]) -> socket.socket | None:
    """Give one that is connected, if any, and close the others."""
    connected: socket.socket | None = None
    for task in done:
        failure = task.exception()
        if failure is None:
            if connected is not None:
                connected.close()
            connected = task.result()
        elif isinstance(failure, OSError):
            failures.append(failure)
        else:
            raise failure
    return connected


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    """Close what was connected although nobody wants it any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
