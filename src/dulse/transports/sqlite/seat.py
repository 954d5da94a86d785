"""One thread's place at the file: its SQLite connection, if it has one just now."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

from dulse.transports.sqlite.forks import abandon

__all__ = ["Seat"]


class Seat:
    """Owned by one thread; another takes the `gate` to close the connection. Ends with its thread."""

    def __init__(self, identity: tuple[int, int]) -> None:
        self.connection: sqlite3.Connection | None = None
        self.gate = threading.RLock()
        self.inside = False
        """A transaction is being made. Who finds this set came in between, from a signal handler or a finalizer."""
        self.undone = False
        """Somebody came in between and undid the transaction that was being made."""
        self._identity = identity
        self._process = os.getpid()

    def vacate(self) -> None:
        """Close the connection; that of a parent process is left alone instead."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        if os.getpid() != self._process:
            abandon(connection, self._identity)
            return
        with contextlib.suppress(sqlite3.Error):  # nothing was pending, and nobody could do anything about it
            connection.close()

    def __del__(self) -> None:
        """Close with the thread that sat here."""
        self.vacate()
