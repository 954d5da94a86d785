"""A descriptor by which a foreign event loop learns that a blocking link has something to hand over."""

from __future__ import annotations

import os
import select
from contextlib import suppress

from dulse import errors


class Beacon:
    """An epoll descriptor that holds the socket, so that the system itself wakes the loop, and an event of our own.

    It is readable while there is something to read, or something that another thread has read. Nobody but `fileno`'s
    caller waits for it. A forked child closes it: what it holds is shared with the parent.
    """

    def __init__(self) -> None:
        if not hasattr(select, "epoll") or not hasattr(os, "eventfd"):
            text = "a link's descriptor for foreign event loops needs epoll and eventfd, which this system has not"
            raise errors.make(errors.NotSupported, f"{text}: call drain_events on a thread")
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._event, select.EPOLLIN)
        self._watched = -1

    def __repr__(self) -> str:
        return f"<Beacon {self._epoll.fileno()} for {self._watched}>"

    def fileno(self) -> int:
        """Give the descriptor; the same for the life of the link, through lost connections."""
        return self._epoll.fileno()

    def watch(self, descriptor: int) -> None:
        """Be readable when this socket is, and no other."""
        if self._watched >= 0:
            with suppress(OSError):  # it was closed, which takes it out
                self._epoll.unregister(self._watched)
        self._watched = descriptor
        self._epoll.register(descriptor, select.EPOLLIN)

    def set(self) -> None:
        """Be readable until `clear`."""
        with suppress(OSError):  # it is closed
            os.eventfd_write(self._event, 1)

    def clear(self) -> None:
        """Be readable no more but for the socket."""
        with suppress(OSError):  # it was not set
            os.eventfd_read(self._event)

    def close(self) -> None:
        """Close both descriptors."""
        self._epoll.close()
        os.close(self._event)
