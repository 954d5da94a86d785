"""From the names of brokers to the addresses to try: several hosts, several addresses a name, IPv4 and IPv6."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

from dulse import errors
from dulse.model.urls import check_port


class Place(NamedTuple):
    """Where a broker listens: a name or an address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Address(NamedTuple):
    """What a socket can connect to."""

    family: int
    address: Any


def places(hosts: str | None, port: int | None, default_port: int) -> list[Place]:
    """Give the places that an address part of a URL names: one host, or several separated by commas.

    A host's own port (``a:5673,b``) wins over `port`. An IPv6 address with a port of its own stands in brackets.
    Raises InvalidURL for a port that is none.
    """
    found = []
    for each in (hosts or "localhost").split(","):
        host, own = _split(each.strip())
        found.append(Place(host or "localhost", own or port or default_port))
    return found


def _split(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, _port(rest.removeprefix(":"), text)
    if text.count(":") == 1:
        host, _, rest = text.partition(":")
        return host, _port(rest, text)
    return text, None


def _port(text: str, whole: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise errors.make(errors.InvalidURL, f"the port of {whole!r} is no number: write host:5672")
    port = int(text)
    check_port(port)
    return port


def resolve(place: Place) -> list[Address]:
    """Give the addresses of a place in the order of the system's preference, each once.

    Blocks as long as the system's resolver does. ConnectionRefused: nobody knows the name.
    """
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise unknown_host(place, error) from error
    return list(dict.fromkeys(Address(family, address) for family, _, _, _, address in found))


def unknown_host(place: Place, why: object) -> Exception:
    """Build the error for a name that the resolver does not know."""
    text = f"the host {place.host!r} cannot be found ({why}): check the name and the resolver"
    return errors.make(errors.ConnectionRefused, text)
