"""Waiting for descriptors: select.poll, and what takes its place where a library of greenlets has removed it."""

from __future__ import annotations

import select
from typing import Protocol

READABLE, WRITABLE = 0x001, 0x004
"""What is waited for: the values of POLLIN and POLLOUT."""


class Poller(Protocol):
    """What is used of `select.poll`."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Wait for this descriptor as well."""

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Wait for something else of it."""

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """Wait so many milliseconds; gives what has happened to which."""
        ...


class _Selecting:
    """The same by `select.select`, which eventlet makes one of its own; that one has no limit to descriptors."""

    def __init__(self) -> None:
        self._wanted: dict[int, int] = {}

    def register(self, fd: int, eventmask: int, /) -> None:
        self._wanted[fd] = eventmask

    modify = register

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        writing = [fd for fd, mask in self._wanted.items() if mask & WRITABLE]
        readable, writable, _ = select.select(list(self._wanted), writing, (), timeout / 1000)
        return [*((fd, READABLE) for fd in readable), *((fd, WRITABLE) for fd in writable)]


def poller() -> Poller:
    """Make one; each thread that waits needs one of its own."""
    return select.poll() if hasattr(select, "poll") else _Selecting()
