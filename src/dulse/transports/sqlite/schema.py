"""Makes a new file a broker, and recognizes files that are none, or one of another version."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from dulse import errors
from dulse.transports.sqlite.connections import Connections

__all__ = ["APPLICATION", "VERSION", "ensure"]

APPLICATION: Final = 0x64756C73
"""PRAGMA application_id of our files: "duls"."""

VERSION: Final = 2
"""PRAGMA user_version of our files: raised with every change of the tables."""

OLDEST_SQLITE: Final = (3, 24, 0)

_SCRIPT: Final = Path(__file__).with_name("schema.sql")


def ensure(connections: Connections, path: str) -> None:
    """Make the tables in an empty file; raise StorageCorrupt if it holds anything else than ours, or the like."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        text = f"SQLite {sqlite3.sqlite_version} is too old for sqlite://: Python's must be 3.24 or newer"
        raise errors.make(errors.NotSupported, text)
    if not connections.read(None, _is_ours, path):
        connections.once(None, _use_wal, path)
        connections.write(None, _create, path)
    connections.write(None, _touch)


def _touch(_connection: sqlite3.Connection) -> None:
    """Do nothing: that the transaction could begin shows that the file can be written."""


def _is_ours(connection: sqlite3.Connection, path: str) -> bool:
    """Tell whether the tables are there; False: the file is empty."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (things,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION:
        if version > VERSION:
            text = f"{path} was made by a newer dulse (schema {version}, ours {VERSION}): upgrade, or name another file"
            raise errors.make(errors.StorageCorrupt, text)
        if version < VERSION:
            text = (
                f"{path} was made by an older dulse (schema {version}, ours {VERSION}), which this one cannot read: "
                "let that release empty its queues, and name another file"
            )
            raise errors.make(errors.StorageCorrupt, text)
        return True
    if application == 0 and things == 0:
        return False
    text = f"{path} is another program's database (application_id {application:#x}, {things} tables): name another file"
    raise errors.make(errors.StorageCorrupt, text)


def _use_wal(connection: sqlite3.Connection, path: str) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        text = f"{path}: the file system does not support SQLite's write-ahead log (journal mode stays {mode!r})"
        raise errors.make(errors.StorageError, text)


def _create(connection: sqlite3.Connection, path: str) -> None:
    if _is_ours(connection, path):
        return  # another process was quicker
    statement = ""
    for line in _SCRIPT.read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
