"""A database of the project as a source of connections: our own ones, and those that its threads have.

Ours are made by Django from the project's settings and never handed back to it: what closes a thread's connection
(CONN_MAX_AGE, close_old_connections, the end of a request) does not concern them.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Final

from dulse import errors
from dulse.transports.django.project import wrapper_of
from dulse.transports.sql.dialects import Dialect, dialect_named

__all__ = ["Database", "callers_dialect", "is_in_transaction"]

SHORTEST_CONNECT: Final = 2
"""Seconds: libpq knows no shorter limit."""

PREPARE_AFTER: Final = 5
"""Times that a statement is told to PostgreSQL until it is prepared, as is Psycopg's default."""

_SQLITE_PROLOGUE: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 0",  # we wait, and signal handlers run meanwhile
)
"""The journal's mode is the project's to choose."""


class Own:
    """A connection of ours, as the Connections of the sql transport take it."""

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper
        self.dbapi_connection = wrapper.connection

    def close(self) -> None:
        """Close it."""
        self.dbapi_connection.close()


class Database:
    """One of the project's DATABASES."""

    def __init__(self, alias: str) -> None:
        wrapper = wrapper_of(alias)
        self.alias = alias
        self.kind: str = wrapper.vendor
        self.place = f"the database {alias!r} of this Django project ({wrapper.vendor})"
        if self.kind not in {"postgresql", "sqlite"}:
            text = f"{self.place}: django:// keeps its broker in PostgreSQL or SQLite: name another database"
            raise errors.make(errors.NotSupported, text)
        if self.kind == "sqlite" and str(wrapper.settings_dict["NAME"]) == ":memory:":
            text = f"{self.place} is in the memory of one connection, where nobody else sees it: name a file"
            raise errors.make(errors.NotSupported, text)
        self.error: type[Exception] = wrapper.Database.Error

    def connect(self, seconds: float) -> Own:
        """Make one more connection with the project's settings, as Django would."""
        from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
        from django.db.utils import Error

        wrapper = wrapper_of(self.alias).copy()
        if self.kind == "postgresql":
            options = copy.copy(wrapper.settings_dict["OPTIONS"])
            options.pop("pool", None)  # a pool of Django's lends for the time of a request
            options.setdefault("connect_timeout", max(SHORTEST_CONNECT, round(seconds)))
            wrapper.settings_dict["OPTIONS"] = options
        try:
            wrapper.connect()
        except SynchronousOnlyOperation as problem:
            text = f"{self.place}: a blocking Connection was used on an event loop: use that of dulse.aio there"
            raise errors.make(errors.NotSupported, text) from problem
        except ImproperlyConfigured as problem:
            raise errors.make(errors.InvalidArgument, f"{self.place}: {problem}") from problem
        except Error as problem:
            raise (problem.__cause__ if isinstance(problem.__cause__, self.error) else problem) from problem
        own = Own(wrapper)
        if hasattr(own.dbapi_connection, "pgconn"):
            _as_psycopg_has_it(own.dbapi_connection)
        return own

    def dialect(self) -> Dialect:
        """Give what our own connections speak."""
        if self.kind == "sqlite":
            return replace(_dialect("sqlite", "?"), prologue=_SQLITE_PROLOGUE)
        return _dialect(self.kind, "%s")


def _as_psycopg_has_it(connection: Any) -> None:
    """Undo what Django changes for poolers: values go to the server beside the statement, which it prepares."""
    import psycopg

    connection.cursor_factory = psycopg.Cursor
    connection.prepare_threshold = PREPARE_AFTER


def callers_dialect(kind: str) -> Dialect:
    """Give what is spoken within a transaction of the project's: nothing of the topology is locked until its end."""
    dialect = _dialect(kind, "%s")
    return replace(dialect, words={**dialect.words, "{share}": ""}, _texts={})


def _dialect(kind: str, marker: str) -> Dialect:
    dialect = dialect_named(kind, marker)
    if dialect is None:
        raise errors.make(errors.NotSupported, f"django:// keeps its broker in PostgreSQL or SQLite, not in {kind}")
    return dialect


def is_in_transaction(wrapper: Any) -> bool:
    """Tell whether a thread's connection is within `atomic()`, or in a transaction that the thread ends by hand."""
    return wrapper.in_atomic_block or (wrapper.connection is not None and not wrapper.autocommit)
