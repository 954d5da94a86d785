"""One connection to the database, and the few ways in which statements are given to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from zlib import crc32

from dulse.transports.sql.dialects import Dialect

__all__ = ["Link", "channel_of"]

CHANNELS: Final = 256
"""Channels of NOTIFY that the queues are spread over: who waits for one queue is not woken by most others."""

NOTIFY: Final = "SELECT pg_notify(%s, %s)"


def channel_of(queue: str) -> str:
    """Name the channel of NOTIFY that tells of a queue."""
    return f"dulse_{crc32(queue.encode()) % CHANNELS:02x}"


class Link:
    """A cursor (PEP 249) of a connection; statements are in our own words, see Dialect."""

    def __init__(self, cursor: Any, dialect: Dialect, place: str) -> None:
        self.dialect = dialect
        self.place = place
        self._cursor = cursor

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Give all rows of a query."""
        if values:
            self._cursor.execute(self.dialect.text(statement), values)
        else:
            self._cursor.execute(self.dialect.text(statement))
        return self._cursor.fetchall()  # type: ignore[no-any-return]

    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Do something; gives the number of rows that it concerned."""
        if values:
            self._cursor.execute(self.dialect.text(statement), values)
        else:
            self._cursor.execute(self.dialect.text(statement))
        return self._cursor.rowcount  # type: ignore[no-any-return]

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Do the same for each of the rows."""
        if rows:
            self._cursor.executemany(self.dialect.text(statement), rows)

    def among(self, statement: str, ids: Iterable[int], *values: Any) -> tuple[str, tuple[Any, ...]]:
        """Put numbers in the place of {ids}, which stands behind all other values of a statement."""
        if self.dialect.is_postgresql:
            return statement.replace("{ids}", "= ANY(%s)"), (*values, list(ids))
        return statement.replace("{ids}", f"IN ({', '.join(map(str, ids))})"), values

    def run_among(self, statement: str, ids: Iterable[int], *values: Any) -> int:
        """Do something with the rows of these numbers."""
        text, given = self.among(statement, ids, *values)
        self._cursor.execute(self._once(text), given)
        return self._cursor.rowcount  # type: ignore[no-any-return]

    def rows_among(self, statement: str, ids: Iterable[int], *values: Any) -> list[tuple[Any, ...]]:
        """Give those of the rows with these numbers that a query finds."""
        text, given = self.among(statement, ids, *values)
        self._cursor.execute(self._once(text), given)
        return self._cursor.fetchall()  # type: ignore[no-any-return]

    def _once(self, statement: str) -> str:
        return self.dialect.text(statement) if self.dialect.is_postgresql else self.dialect.write(statement)

    def notify(self, queues: Iterable[str]) -> None:
        """Tell those who wait for these queues that they may have got a record, when this transaction is committed."""
        if self.dialect.is_postgresql:
            for queue in dict.fromkeys(queues):
                self.rows(NOTIFY, (channel_of(queue), queue))
