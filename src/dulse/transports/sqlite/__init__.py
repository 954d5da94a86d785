"""The sqlite transport: a broker in one file, for any number of processes of one machine.

The file is in WAL mode: beside it lie `-wal` and `-shm`, which belong to it (never delete them; copy all three or
none). Space of records that are gone is used again and not given back to the disk: the file stays as large as at its
fullest moment (`VACUUM` by the sqlite3 tool, with all users stopped, makes it small). The `-wal` is usually of some
4 MiB; where many processes write at full speed they stop and empty it when it is beyond 32 MiB.
"""

from __future__ import annotations

from dulse.transports.sqlite.storage import SQLiteStorage

__all__ = ["SQLiteStorage"]
