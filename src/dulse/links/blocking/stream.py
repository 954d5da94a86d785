"""A connected socket that never blocks, and the waiting for it."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from math import ceil

from dulse.links.allocation import keep_memory
from dulse.links.polling import READABLE, WRITABLE, poller

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What tells that nothing was sent or read now, and that it is to be tried again later."""

READ_SIZE = 262144
"""Bytes asked for at once."""

LONG_READ_SIZE = 1048576
"""The same in the middle of a long message: where a reading cuts one in two, it is copied once more."""

WOKEN = 1 << 16
"""Beside what `polling` knows of: another thread has called `wake`."""


class Stream:
    """One connection. `send` and `recv` are the socket's own, so that C code stores what they give.

    Under TLS, and so always, the owner calls both under one lock: one TLS object must not be used by two threads.
    """

    __slots__ = ("_alarm", "_bell", "_fd", "_poll", "_socket", "_writing", "recv", "send", "tls")

    def __init__(self, connected: socket.socket) -> None:
        keep_memory()
        connected.setblocking(False)
        self._socket = connected
        self._fd = connected.fileno()
        self.send = connected.send
        self.recv = connected.recv
        self.tls = isinstance(connected, ssl.SSLSocket)
        self._poll = poller()
        self._poll.register(self._fd, READABLE)
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._poll.register(self._alarm.fileno(), READABLE)
        self._writing = False

    def __repr__(self) -> str:
        return f"<Stream {self._fd}{', TLS' if self.tls else ''}>"

    def fileno(self) -> int:
        """Give the descriptor, -1 once it is closed."""
        return self._socket.fileno()

    def wait(self, seconds: float, *, writing: bool = False) -> int:
        """Wait until there is something to read, or (with `writing`) room to send, or `wake`.

        Gives what happened: READABLE, WRITABLE, WOKEN, or what the system says of a lost connection; 0 after `seconds`.
        """
        if writing is not self._writing:
            self._poll.modify(self._fd, READABLE | WRITABLE if writing else READABLE)
            self._writing = writing
        happened = 0
        for fd, events in self._poll.poll(ceil(max(0.0, seconds) * 1000)):
            if fd == self._fd:
                happened |= events
            else:
                happened |= WOKEN
                with suppress(OSError):  # another thread has closed it, or has read it
                    self._alarm.recv(4096)
        return happened

    def wake(self) -> None:
        """Have whoever waits look for himself."""
        with suppress(OSError):  # it is closed, or enough wake-ups are on their way
            self._bell.send(b"!")

    def close(self) -> None:
        """Close it, whatever was on its way; who waits is woken."""
        self.wake()
        self._socket.close()
        self._bell.close()
        self._alarm.close()

    def drop(self) -> None:
        """Close the descriptor alone, without a byte to the peer: it is the parent process's connection."""
        # Not the TLS object's own detach, which would say goodbye to the peer.
        fd = socket.socket.detach(self._socket)
        if fd >= 0:
            socket.close(fd)
        self._bell.close()
        self._alarm.close()
