"""Makes and drops the tables in the migrations of a project, by the statements of the sql transport.

Each migration brings the tables to the newest version there is; those that follow find nothing to do.
"""

from __future__ import annotations

from typing import Any

from dulse.transports.django.database import Database, callers_dialect
from dulse.transports.sql import schema
from dulse.transports.sql.link import Link

__all__ = ["drop", "make"]


def make(_apps: Any, schema_editor: Any) -> None:
    """Make the tables if there are none; StorageCorrupt: there are others of these names."""
    connection = schema_editor.connection
    database = Database(connection.alias)
    with connection.cursor() as cursor:
        schema.ensure(Link(cursor, callers_dialect(database.kind), database.place))


def drop(_apps: Any, schema_editor: Any) -> None:
    """Drop the tables, with all messages."""
    connection = schema_editor.connection
    database = Database(connection.alias)
    with connection.cursor() as cursor:
        link = Link(cursor, callers_dialect(database.kind), database.place)
        if schema.is_ours(link):
            for table in schema.TABLES:
                link.run(f"DROP TABLE {table}")
