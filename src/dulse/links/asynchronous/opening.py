"""Opening a connection with asyncio: the socket, TLS, and AMQP's handshake, all before one deadline."""

from __future__ import annotations

import asyncio
import ssl

from dulse import errors
from dulse.amqp.engine import Engine
from dulse.links.amqp_problems import cut_short
from dulse.links.amqp_setup import Destination
from dulse.links.asynchronous.dialing import dial
from dulse.links.asynchronous.wire import Owner, Wire
from dulse.links.tls import tls_failure


async def open_wire(destination: Destination, owner: Owner, deadline: float) -> Wire:
    """Connect and log in before `deadline` (of the loop's clock).

    Raises ConnectionRefused, AuthenticationFailed, VirtualHostRefused, ProtocolError, CertificateInvalid,
    ConnectionLost, DeadlineExceeded.
    """
    step = "TCP"
    wire: Wire | None = None
    is_done = False
    try:
        async with asyncio.timeout_at(deadline):
            heartbeat = destination.settings.heartbeat
            dead_after = 2 * heartbeat if heartbeat else None
            connected = await dial(destination.place, dead_after, destination.socket_settings)
            wire = Wire(Engine(destination.settings), connected, owner)
            step = "TLS"
            await _begin(wire, destination, deadline)
            step = "AMQP"
            await wire.opened
    except TimeoutError:
        text = f"{destination.place} does not answer in {step}: check host, port, firewall and broker"
        raise errors.make(errors.DeadlineExceeded, text) from None
    except OSError as problem:
        raise explained(problem, destination) from problem
    else:
        is_done = True
        return wire
    finally:
        if wire is not None and not is_done:
            wire.abort()


async def _begin(wire: Wire, destination: Destination, deadline: float) -> None:
    loop, connected, tls = wire.loop, wire.socket, destination.tls
    try:
        if tls is None:
            await loop.create_connection(lambda: wire, sock=connected)
        else:
            name = tls.name_for(destination.place.host)
            left = max(0.001, deadline - loop.time())
            await loop.create_connection(
                lambda: wire, sock=connected, ssl=tls.context, server_hostname=name, ssl_handshake_timeout=left
            )
    except BaseException:
        connected.close()
        raise


def explained(problem: BaseException, destination: Destination, *, opening: bool = True) -> Exception:
    """Build the error of ours for what a socket raised."""
    if isinstance(problem, errors.DulseError):
        return problem
    place = destination.place
    if isinstance(problem, ssl.SSLError | ssl.CertificateError):
        return tls_failure(problem, str(place))
    words = getattr(problem, "strerror", None) or str(problem)
    if not opening:
        return errors.make(errors.ConnectionLost, f"the connection to {place} broke: {words}")
    return cut_short(place, words)
