"""Streams with asyncio: what generated code finds in `dulse.links.streams.sync` under the same names."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from time import monotonic
from typing import cast

from dulse import errors
from dulse.links import sockets
from dulse.links.addresses import Place
from dulse.links.allocation import keep_memory
from dulse.links.asynchronous.dialing import dial
from dulse.links.tls import Tls, tls_failure

__all__ = ["Cancelled", "Stream", "connect"]

Cancelled = asyncio.CancelledError
"""What ends a wait without having disturbed the stream."""

MOST_UNREAD = 4 * 1024 * 1024
"""Bytes that nobody has read, from which on no more are taken from the kernel."""


class Stream(asyncio.Protocol):
    """One connection, of which one task at a time sends and reads; anybody may call `wake`."""

    def __init__(self, connected: socket.socket) -> None:
        keep_memory()
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._unread = 0
        self._is_paused = False
        self._is_congested = False
        self._is_woken = False
        self._waiter: asyncio.Future[None] | None = None
        self._end: Exception | None = None
        self.is_exact = True
        """What `send` was given is with the kernel when it returns; False: TLS may have kept some of it."""

    def __repr__(self) -> str:
        return f"<Stream {'open' if self.is_open else 'closed'}>"

    # ---------------------------------------------------------------------------------- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. What is sent is to be with the kernel, so any buffer makes the sender wait."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)
        self.is_exact = transport.get_extra_info("sslcontext") is None

    def data_received(self, data: bytes) -> None:
        """Keep it for the reader."""
        self._chunks.append(data)
        self._unread += len(data)
        if self._unread > MOST_UNREAD and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._end = self._end or exc or ConnectionAbortedError("the server closed it")
        self._tell()

    def pause_writing(self) -> None:
        """Have the sender wait."""
        self._is_congested = True

    def resume_writing(self) -> None:
        """Let the sender go on."""
        self._is_congested = False
        self._tell()

    # --------------------------------------------------------------------------------- called by the owner

    @property
    def is_open(self) -> bool:
        """False: there is no use in sending, or not from this event loop."""
        return self._end is None and self._loop is asyncio.get_running_loop()

    async def send(self, data: bytes, until: float) -> None:
        """Give all bytes to the kernel (see `is_exact`) before `until` (monotonic), or raise TimeoutError or OSError.

        After an exception nobody knows how much of it is on its way: close the stream.
        """
        if self._end is not None or self._transport is None:
            raise self._end or ConnectionAbortedError("it is closed")
        self._transport.write(data)
        while self._is_congested:
            if self._end is not None:
                raise self._end
            left = until - monotonic()
            if left <= 0:
                raise TimeoutError
            await self._wait(left)

    async def read(self, until: float) -> bytes:
        """Give what comes; nothing when it is `until` (monotonic), or after a `wake`. OSError at the end."""
        while not self._chunks:
            if self._end is not None:
                raise self._end
            left = until - monotonic()
            if self._is_woken or left <= 0:
                self._is_woken = False
                return b""
            await self._wait(left)
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._unread = 0
        if self._is_paused and self._transport is not None and self._end is None:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def has_ended(self) -> bool:
        """Tell, without waiting, whether the peer has closed it; what came is kept."""
        return self._end is not None

    def wake(self) -> None:
        """End the `read` that runs, or the next one, from any thread or signal handler."""
        with suppress(RuntimeError):  # its loop is closed: nobody reads there any more
            self._loop.call_soon_threadsafe(self._be_woken)

    def close(self) -> None:
        """Close it, whatever was on its way."""
        self._end = self._end or ConnectionAbortedError("it is closed")
        if self._transport is not None:
            with suppress(RuntimeError):  # its loop is closed, and has closed the socket with it
                self._transport.abort()
        self._tell()

    def discard(self) -> None:
        """In a forked child: let go of the parent's connection without a byte, and without touching its poll set.

        The descriptor becomes one of the null device, so that whatever closes it later closes nothing of anybody's.
        """
        self._end = self._end or ConnectionAbortedError("it belongs to the parent process")
        _inherited.append(self)
        if self._socket.fileno() >= 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, self._socket.fileno(), inheritable=False)
            os.close(nothing)

    def _be_woken(self) -> None:
        self._is_woken = True
        self._tell()

    def _tell(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self, seconds: float) -> None:
        """Wait until something may have happened."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, _finish, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None


_inherited: list[Stream] = []
"""Never collected: their transports would warn, and try to tell a loop that is the parent's."""


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def connect(
    place: Place | str, until: float, *, tls: Tls | None = None, dead_after: float | None = None
) -> Stream:
    """Connect to a place, or to a socket in the file system, before `until` (monotonic).

    Raises ConnectionRefused, CertificateInvalid, ConnectionLost, ProtocolError (no TLS there), DeadlineExceeded.
    """
    link: socket.socket | None = None
    try:
        async with asyncio.timeout(max(0.001, until - monotonic())):
            link = await (_unix(place) if isinstance(place, str) else dial(place, dead_after))
            return await _begun(link, tls, place)
    except errors.DulseError:
        raise
    except TimeoutError as late:
        if link is None:
            raise errors.make(errors.DeadlineExceeded, f"nobody answered at {place}: check host and port") from late
        text = f"{place} took the connection and does not answer in TLS: check host and port"
        raise errors.make(errors.DeadlineExceeded, text) from late


async def _begun(link: socket.socket, tls: Tls | None, place: Place | str) -> Stream:
    loop = asyncio.get_running_loop()
    try:
        if tls is None:
            return (await loop.create_connection(lambda: Stream(link), sock=link))[1]
        name = tls.name_for(place if isinstance(place, str) else place.host)
        return (await loop.create_connection(lambda: Stream(link), sock=link, ssl=tls.context, server_hostname=name))[1]
    except OSError as problem:
        link.close()
        raise tls_failure(problem, str(place)) from problem
    except BaseException:
        link.close()
        raise


async def _unix(path: str) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.setblocking(False)
        await asyncio.get_running_loop().sock_connect(link, path)
    except OSError as problem:
        link.close()
        raise sockets.no_socket(path, problem) from problem
    except BaseException:
        link.close()
        raise
    return link
