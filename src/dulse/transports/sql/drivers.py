"""What the drivers do each in a way of their own: autocommit, cancelling, cutting a connection, hearing of NOTIFY."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final

__all__ = [
    "OF_ASYNCIO",
    "ONLY_ASYNCPG",
    "PREFERRED",
    "cancel",
    "cursor",
    "cut",
    "descriptor",
    "forget_timeout",
    "heard",
    "set_autocommit",
    "tell",
]

PREFERRED: Final = {
    "postgresql": (("psycopg", "psycopg"), ("psycopg2", "psycopg2")),
    "mysql": (("pymysql", "pymysql"), ("mysqldb", "MySQLdb")),
    "mariadb": (("pymysql", "pymysql"), ("mysqldb", "MySQLdb")),
}
"""For a URL that names no driver: SQLAlchemy's names and the modules, of which the first that is there is taken."""

OF_ASYNCIO: Final = {"asyncpg", "aiomysql", "asyncmy", "aiosqlite"}
"""SQLAlchemy's names of drivers that need its async engine: a blocking one reaches the same database."""
ONLY_ASYNCPG: Final = {"prepared_statement_cache_size", "prepared_statement_name_func", "async_fallback"}
"""What a URL may tell that driver, and no other understands."""

CANCEL_WITHIN: Final = 1.0


def set_autocommit(connection: Any, dialect: str) -> None:
    """Have every statement be a transaction of its own, until we begin one."""
    if dialect == "sqlite":
        connection.isolation_level = None
    elif callable(connection.autocommit):
        connection.autocommit(True)
    else:
        connection.autocommit = True


def cursor(connection: Any) -> Any:
    """Give a cursor that reads bytes as they are, and not as text, where there is the choice."""
    return connection.cursor(binary=True) if hasattr(connection, "pgconn") else connection.cursor()


def descriptor(connection: Any) -> int | None:
    """Give the descriptor of a connection's socket; None: its driver does not tell."""
    if hasattr(connection, "fileno"):
        return int(connection.fileno())
    inner = getattr(connection, "_sock", None)  # PyMySQL
    return inner.fileno() if inner is not None else None


def forget_timeout(connection: Any) -> None:
    """Let a connection that was made in time read for as long as it takes, where the driver has one limit for both."""
    if hasattr(connection, "_read_timeout"):  # PyMySQL
        connection._read_timeout = connection._write_timeout = None  # noqa: SLF001 - it has no other way


def cancel(connection: Any, dialect: str, another: Callable[[], Any]) -> None:
    """Ask the server to give up what a connection is at; `another` makes a second connection."""
    with contextlib.suppress(Exception):  # the server is as silent as before, and the connection will be cut
        if hasattr(connection, "cancel_safe"):
            connection.cancel_safe(timeout=CANCEL_WITHIN)
        elif dialect == "postgresql":
            connection.cancel()
        elif dialect == "mysql":
            other = another()
            try:
                other.cursor().execute(f"KILL QUERY {int(connection.thread_id())}")
            finally:
                other.close()


def cut(connection: Any) -> None:
    """End all reading and writing on a connection, from another thread."""
    with contextlib.suppress(Exception):  # it is closed already
        number = descriptor(connection)
        if number is not None:
            with socket.socket(fileno=socket.dup(number)) as doubled:
                doubled.shutdown(socket.SHUT_RDWR)


def tell(connection: Any, told: Callable[[object], object]) -> None:
    """Have `told` called for notifications that arrive in the middle of a query, where `heard` would not find them."""
    if hasattr(connection, "add_notify_handler"):  # Psycopg 3; the older one keeps them
        connection.add_notify_handler(told)


def heard(connection: Any) -> bool:
    """Take in what has arrived on a listening connection; tells whether it was a notification."""
    if hasattr(connection, "pgconn"):
        connection.pgconn.consume_input()
        found = False
        while connection.pgconn.notifies() is not None:
            found = True
        return found
    connection.poll()
    found = bool(connection.notifies)
    del connection.notifies[:]
    return found
