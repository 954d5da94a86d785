"""Opening a connection: the socket, TLS, and AMQP's handshake, all before one deadline."""

from __future__ import annotations

import socket
from time import monotonic

from dulse import errors
from dulse.amqp.engine import Engine
from dulse.amqp.states import State
from dulse.links.amqp_problems import cut_short
from dulse.links.amqp_setup import Destination
from dulse.links.blocking.stream import READ_SIZE
from dulse.links.sockets import connect
from dulse.links.tls import tls_failure


def shake_hands(destination: Destination, deadline: float) -> tuple[socket.socket, Engine]:
    """Connect and log in before `deadline` (of time.monotonic); the engine is open then.

    Raises ConnectionRefused, AuthenticationFailed, VirtualHostRefused, ProtocolError, CertificateInvalid,
    ConnectionLost, DeadlineExceeded.
    """
    heartbeat = destination.settings.heartbeat
    dead_after = 2 * heartbeat if heartbeat else None
    link = connect(destination.place, deadline, dead_after=dead_after, settings=destination.socket_settings)
    try:
        link = _secured(link, destination, deadline)
        engine = Engine(destination.settings)
        _log_in(link, engine, destination, deadline)
    except BaseException:
        link.close()
        raise
    return link, engine


def _secured(link: socket.socket, destination: Destination, deadline: float) -> socket.socket:
    tls, place = destination.tls, destination.place
    if tls is None:
        return link
    link.settimeout(max(0.001, deadline - monotonic()))
    try:
        return tls.secured(link, place.host)
    except TimeoutError as late:
        raise _silent(destination, "TLS") from late
    except OSError as problem:
        raise tls_failure(problem, str(place)) from problem


def _log_in(link: socket.socket, engine: Engine, destination: Destination, deadline: float) -> None:
    while engine.state is not State.OPEN:
        try:
            link.settimeout(max(0.001, deadline - monotonic()))
            link.sendall(engine.data_to_send())
            data = link.recv(READ_SIZE)
        except TimeoutError as late:
            raise _silent(destination, "AMQP") from late
        except OSError as problem:
            if destination.tls is not None:
                raise tls_failure(problem, str(destination.place)) from problem
            raise cut_short(destination.place, problem) from problem
        if not data:
            raise cut_short(destination.place, "the end of the stream")
        engine.receive(data)
        if engine.error is not None:
            raise engine.error
    link.settimeout(max(0.001, deadline - monotonic()))
    link.sendall(engine.data_to_send())


def _silent(destination: Destination, protocol: str) -> Exception:
    text = f"{destination.place} took the connection and does not answer in {protocol}: check host, port and broker"
    return errors.make(errors.DeadlineExceeded, text)
