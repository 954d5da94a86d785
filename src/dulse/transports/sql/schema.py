"""Makes the tables in an empty database, and recognizes those that are not ours or of another version."""

from __future__ import annotations

import os
from typing import Final

from dulse import errors
from dulse.transports.sql.link import Link

__all__ = ["GET_IDENTITY", "VERSION", "ensure", "identity", "is_ours"]

VERSION: Final = 2
"""Of the tables: raised with every change."""

TABLES: Final = {
    "dulse_meta": "name {name} NOT NULL PRIMARY KEY, value {int} NOT NULL",
    # id: the order in which records became ready for the first time; step: minus the priority, the lowest comes first;
    # since, dies, due: ms on the server's clock; fresh: 1 if it was never ready, so that it goes to the queue's end.
    "dulse_record": """
        id {identity},
        queue {name} NOT NULL,
        step {int} NOT NULL,
        since {int} NOT NULL,
        dies {int},
        due {int},
        fresh {int} NOT NULL,
        size {int} NOT NULL,
        deliveries {int} NOT NULL,
        owner {int},
        token {int},
        payload {blob} NOT NULL""",
    "dulse_owner": "id {identity}, name {name} NOT NULL UNIQUE, expires {int} NOT NULL",
    # The most that a queue with limits can have ready, since it was counted; NULL: it has to be counted.
    "dulse_limited": "queue {name} NOT NULL PRIMARY KEY, records {int}, size {int}",
    # A row for each time when a queue with limits got records otherwise than by `put`.
    "dulse_uncounted": "id {identity}, queue {name} NOT NULL",
    "dulse_publisher": "name {name} NOT NULL PRIMARY KEY, number {int} NOT NULL, seen {int} NOT NULL",
    "dulse_group": "name {name} NOT NULL PRIMARY KEY, revision {int} NOT NULL, since {int} NOT NULL",
    "dulse_entry": """
        grp {name} NOT NULL, digest {digest} NOT NULL, name {text} NOT NULL, value {text} NOT NULL,
        PRIMARY KEY (grp, digest)""",
}

PARTIAL_INDEXES: Final = (
    "CREATE INDEX dulse_ready ON dulse_record (queue, step, id, size) WHERE owner IS NULL AND due IS NULL",
    "CREATE INDEX dulse_leased ON dulse_record (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX dulse_delayed ON dulse_record (due, id) WHERE due IS NOT NULL",
    "CREATE INDEX dulse_to_count ON dulse_uncounted (queue)",
    "CREATE INDEX dulse_mortal ON dulse_record (dies, queue) WHERE dies IS NOT NULL AND owner IS NULL AND due IS NULL",
)
INDEXES: Final = {
    "dulse_record": """,
    INDEX dulse_ready (queue, owner, due, step, id, size),
    INDEX dulse_leased (owner),
    INDEX dulse_delayed (due, id),
    INDEX dulse_mortal (dies, owner, due)""",
    "dulse_uncounted": ", INDEX dulse_to_count (queue)",
}
"""The same where an index cannot leave rows out; in the statement that makes the table."""

BEGIN_REVISIONS: Final = "INSERT INTO dulse_meta VALUES ('revision', 0)"
SET_IDENTITY: Final = "INSERT INTO dulse_meta VALUES ('identity', %s)"
GET_IDENTITY: Final = "SELECT value FROM dulse_meta WHERE name = 'identity'"
"""A number by which a database is known again, whatever the way to it."""
SET_VERSION: Final = "INSERT INTO dulse_meta VALUES ('version', %s)"
GET_REVISION: Final = "SELECT value FROM dulse_meta WHERE name = 'revision'"
GET_VERSION: Final = "SELECT value FROM dulse_meta WHERE name = 'version'"
GET_PACKET: Final = "SELECT @@max_allowed_packet"
SMALLEST_PACKET: Final = 1 << 20
"""Bytes: PyMySQL puts many rows into statements of up to 1,024,000."""
REST_OF_STATEMENT: Final = 1 << 16
"""Bytes for all but the record, of which each byte may take two: words, a queue's name and those of groups."""
EXISTING: Final = {
    "postgresql": """
        SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid) AND relname LIKE 'dulse_%'
        """,
    "mysql": """
        SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE 'dulse_%'
        """,
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'dulse_%'",
}
ALONE: Final = {
    "postgresql": "SELECT pg_advisory_xact_lock(1685416051, 0)",
    "mysql": "SELECT get_lock(concat('dulse of ', database()), 10)",
    "sqlite": "SELECT 1",
}
NO_LONGER_ALONE: Final = "DO release_lock(concat('dulse of ', database()))"


def is_ours(link: Link) -> bool:
    """Tell whether the tables are there; False: there is none. StorageCorrupt: there are others."""
    names = {row[0] for row in link.rows(EXISTING[link.dialect.name])}
    if not names:
        return False
    rows = link.rows(GET_VERSION) if "dulse_meta" in names else []
    if "dulse_meta" in names and not rows and not link.dialect.is_transactional:
        return False  # whoever made the tables was killed on the way, the version is written last
    version = rows[0][0] if rows else None
    if version is None or not set(TABLES) <= names:
        text = (
            f"{link.place} has tables named dulse_… that are not those of a broker, or not all of them "
            f"({', '.join(sorted(names))}): restore them from a backup, or name another database"
        )
        raise errors.make(errors.StorageCorrupt, text)
    if version != VERSION:
        whose = "a newer" if version > VERSION else "an older"
        text = (
            f"{link.place} was made by {whose} dulse (schema {version}, ours {VERSION}): use that or another database"
        )
        raise errors.make(errors.StorageCorrupt, text)
    return True


def largest_record(link: Link) -> int:
    """Give how many bytes of a record fit into a statement on MySQL; NotSupported: too few for what else is said."""
    packet: int = link.rows(GET_PACKET)[0][0]
    if packet < SMALLEST_PACKET:
        text = f"{link.place} takes statements of at most {packet} bytes (max_allowed_packet)"
        raise errors.make(errors.NotSupported, f"{text}: let it take {SMALLEST_PACKET} or more")
    return (packet - REST_OF_STATEMENT) // 2


def identity(link: Link) -> int:
    """Give the number by which this database is known again."""
    found: int = link.rows(GET_IDENTITY)[0][0]
    return found


def ensure(link: Link) -> None:
    """Make the tables if there are none; one process at a time."""
    link.rows(ALONE[link.dialect.name])
    try:
        if not is_ours(link):
            _create(link)
    finally:
        if link.dialect.name == "mysql":
            link.run(NO_LONGER_ALONE)


def _create(link: Link) -> None:
    digest = {"mysql": "binary(16)", "postgresql": "bytea", "sqlite": "blob"}[link.dialect.name]
    begin = "CREATE TABLE" if link.dialect.is_transactional else "CREATE TABLE IF NOT EXISTS"
    for name, columns in TABLES.items():
        indexes = "" if link.dialect.partial else INDEXES.get(name, "")
        link.run(f"{begin} {name} ({columns.replace('{digest}', digest)}{indexes}) {link.dialect.table_end}")
    for index in PARTIAL_INDEXES if link.dialect.partial else ():
        link.run(index)
    if not link.rows(GET_REVISION):
        link.run(BEGIN_REVISIONS)
    if not link.rows(GET_IDENTITY):
        link.run(SET_IDENTITY, (int.from_bytes(os.urandom(7), "big"),))
    link.run(SET_VERSION, (VERSION,))
