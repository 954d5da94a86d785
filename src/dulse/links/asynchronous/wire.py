"""One connection's bytes: what is written in one turn of the loop goes out in one send."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Protocol, cast

from dulse import errors
from dulse.amqp.engine import Engine
from dulse.amqp.events import Event
from dulse.amqp.states import State
from dulse.links.allocation import keep_memory

HIGHEST_BUFFERED = 262144
"""Bytes that the kernel has not taken, from which on publishers wait."""
MOST_COLLECTED = 64
"""Pieces that are collected before they are sent in the middle of a turn."""


class Owner(Protocol):
    """Who is told what comes, and how it ends."""

    def take(self, events: list[Event], size: int) -> None:
        """Take what was said in a read of so many bytes."""

    def lost(self, wire: Wire, error: Exception) -> None:
        """Learn that there will be no more; called once."""

    def flow(self) -> None:
        """Learn that the kernel takes more again, or nothing for now."""


class Wire(asyncio.Protocol):
    """One connection, from the TCP handshake on; `out` collects what is to be sent, `send_soon` has it sent."""

    def __init__(self, engine: Engine, connected: socket.socket, owner: Owner) -> None:
        keep_memory()
        self.engine = engine
        self.out = engine.out
        self.is_ready = False
        """The handshake is done."""
        self.is_scheduled = False
        self.is_congested = False
        """The kernel does not take what was written."""
        self.is_paused = False
        """Nothing is read."""
        self.socket = connected
        self._owner = owner
        self.loop = asyncio.get_running_loop()
        self.heard_at = self.loop.time()
        """When something came last, by the loop's clock."""
        self._transport: asyncio.Transport | None = None
        self._ended = False
        self.opened: asyncio.Future[None] = self.loop.create_future()
        """Completed by the end of the handshake."""
        self.closed: asyncio.Future[None] = self.loop.create_future()
        """Completed when the socket is closed."""

    def __repr__(self) -> str:
        return f"<Wire: {'ended' if self._ended else 'open'}, {len(self.out)} pieces to be sent>"

    # ---------------------------------------------------------------------------------- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGHEST_BUFFERED)
        self.send_out()

    def data_received(self, data: bytes) -> None:
        """Have the engine read, and tell the owner."""
        if self._ended:
            return
        self.heard_at = self.loop.time()
        engine = self.engine
        try:
            events = engine.receive(data)
        except errors.ProtocolError as error:
            if self.is_ready:
                self._owner.take(engine.events, len(data))
            self.send_out()
            self.end(error)
            return
        if not self.is_ready:
            if engine.state is State.OPEN:
                self.is_ready = True
                if not self.opened.done():
                    self.opened.set_result(None)
        else:
            self._owner.take(events, len(data))
        if self.out:
            self.send_soon()
        if engine.closed:
            self.send_out()
            self.end(engine.error)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if not self.closed.done():
            self.closed.set_result(None)
        if isinstance(exc, errors.ProtocolError):  # of what was handed over
            self.engine.is_spoiled = True
        self.end(exc or ConnectionAbortedError("it ended the connection without a word"))

    def pause_writing(self) -> None:
        """Have publishers wait."""
        self.is_congested = True
        self._owner.flow()

    def resume_writing(self) -> None:
        """Let publishers go on."""
        self.is_congested = False
        self._owner.flow()

    # --------------------------------------------------------------------------------- called by the owner

    def send_soon(self) -> None:
        """Send what was collected at the end of this turn of the loop."""
        if not self.is_scheduled:
            self.is_scheduled = True
            self.loop.call_soon(self.send_out)

    def send_out(self) -> None:
        """Send what was collected."""
        self.is_scheduled = False
        if self.out and self._transport is not None and not self._ended:
            self._transport.write(self.engine.data_to_send())

    def pause(self) -> None:
        """Read nothing for now."""
        if not self.is_paused and self._transport is not None and not self._ended:
            self.is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.is_paused and self._transport is not None and not self._ended:
            self.is_paused = False
            self.heard_at = self.loop.time()
            self._transport.resume_reading()

    def end(self, error: Exception | None) -> None:
        """Tell the owner, once, and let go of the socket when what was sent is with the kernel."""
        if self._ended:
            return
        self._ended = True
        if self._transport is not None:
            self._transport.close()
        error = error or errors.make(errors.ConnectionClosed, "the connection was closed")
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # seen, also where nobody waits any more
        self._owner.lost(self, error)

    def abort(self) -> None:
        """Let go of the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def discard(self) -> None:
        """In a forked child: let go of the parent's connection without a byte, and without touching its poll set.

        The descriptor becomes one of the null device, so that whatever closes it later closes nothing of anybody's.
        """
        self._ended = True
        _inherited.append(self)
        if self.socket.fileno() >= 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, self.socket.fileno(), inheritable=False)
            os.close(nothing)


_inherited: list[Wire] = []
"""Never collected: their transports would warn, and try to tell a loop that is the parent's."""
