"""Streams with threads: the blocking counterpart of `dulse.links.streams.aio`, name for name."""

from __future__ import annotations

import socket
import ssl
from time import monotonic

from dulse import errors
from dulse.links import sockets
from dulse.links.addresses import Place
from dulse.links.blocking.stream import READ_SIZE, WOULD_BLOCK
from dulse.links.blocking.stream import Stream as Pollable
from dulse.links.tls import Tls, tls_failure

__all__ = ["Cancelled", "Stream", "connect"]

_SLICE = 0.5
"""Seconds after which a reader looks whether a signal came that the system gave to another thread (PEP 475)."""


class Cancelled(BaseException):
    """What ends a wait without having disturbed the stream: in this form, nothing."""


class Stream:
    """One connection, of which one thread at a time sends and reads; any may call `wake`."""

    __slots__ = ("_kept", "_pollable", "_recv", "_send", "_tls", "is_exact", "is_open")

    def __init__(self, connected: socket.socket) -> None:
        self._pollable = Pollable(connected)
        self._send = self._pollable.send
        self._recv = self._pollable.recv
        self._tls = self._pollable.tls
        self._kept = b""
        self.is_open = True
        """False: there is no use in sending."""
        self.is_exact = True
        """What `send` was given is with the kernel when it returns."""

    def __repr__(self) -> str:
        return f"<{self._pollable!r} {'open' if self.is_open else 'closed'}>"

    def send(self, data: bytes, until: float) -> None:
        """Give all bytes to the kernel before `until` (monotonic), or raise TimeoutError; OSError if that cannot be.

        After an exception nobody knows how much of it is on its way: close the stream.
        """
        try:
            sent = self._send(data)
        except WOULD_BLOCK:
            sent = 0
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            self._wait(until, writing=True)
            try:
                rest = rest[self._send(rest) :]
            except WOULD_BLOCK:
                continue

    def read(self, until: float) -> bytes:
        """Give what comes; nothing when it is `until` (monotonic), or after a `wake`. OSError at the end."""
        if self._kept:
            data, self._kept = self._kept, b""
            return data
        if self._tls:  # what OpenSSL holds already does not make the socket readable
            now = self._read_now()
            if now:
                return now
        while True:
            left = until - monotonic()
            if left <= 0:
                return self._read_now() or b""
            if self._pollable.wait(min(left, _SLICE)):
                return self._read_now() or b""

    def has_ended(self) -> bool:
        """Tell, without waiting, whether the peer has closed it; what came is kept."""
        try:
            self._kept += self._read_now() or b""
        except OSError:
            return True
        return False

    def wake(self) -> None:
        """End the `read` that runs, or the next one, from any thread or signal handler."""
        self._pollable.wake()

    def close(self) -> None:
        """Close it, whatever was on its way."""
        self.is_open = False
        self._pollable.close()

    def discard(self) -> None:
        """In a forked child: let go of the parent's connection without a byte."""
        self.is_open = False
        self._pollable.drop()

    def _read_now(self) -> bytes | None:
        try:
            data = self._recv(READ_SIZE)
        except WOULD_BLOCK:
            return None
        if not data:
            raise ConnectionAbortedError("the server closed it")
        return data

    def _wait(self, until: float, *, writing: bool) -> None:
        left = until - monotonic()
        if left <= 0:
            raise TimeoutError
        self._pollable.wait(min(left, _SLICE), writing=writing)


def connect(place: Place | str, until: float, *, tls: Tls | None = None, dead_after: float | None = None) -> Stream:
    """Connect to a place, or to a socket in the file system, before `until` (monotonic).

    Raises ConnectionRefused, CertificateInvalid, ConnectionLost, ProtocolError (no TLS there), DeadlineExceeded.
    """
    link = _unix(place, until) if isinstance(place, str) else sockets.connect(place, until, dead_after=dead_after)
    try:
        return Stream(link if tls is None else _secured(link, tls, place, until))
    except BaseException:
        link.close()
        raise


def _unix(path: str, until: float) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(max(0.001, until - monotonic()))
        link.connect(path)
    except OSError as problem:
        link.close()
        raise sockets.no_socket(path, problem) from problem
    except BaseException:
        link.close()
        raise
    return link


def _secured(link: socket.socket, tls: Tls, place: Place | str, until: float) -> ssl.SSLSocket:
    link.settimeout(max(0.001, until - monotonic()))
    try:
        return tls.secured(link, place if isinstance(place, str) else place.host)
    except TimeoutError as late:
        text = f"{place} took the connection and does not answer in TLS: check host and port"
        raise errors.make(errors.DeadlineExceeded, text) from late
    except OSError as problem:
        raise tls_failure(problem, str(place)) from problem
