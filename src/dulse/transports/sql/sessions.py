"""The caller's own transaction, by SQLAlchemy: what is written there exists exactly if the caller commits.

Everything goes through SQLAlchemy's Connection, so that it begins its transaction as for a statement of the caller's.
Errors of that connection are the caller's: SQLAlchemy's own reach them, as from any other statement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, TypeVar

from dulse import errors
from dulse.transports.sql.dialects import Dialect, dialect_named
from dulse.transports.sql.link import Link
from dulse.transports.sql.schema import GET_IDENTITY

__all__ = ["dialect_of", "run_within", "run_within_soon"]

Result = TypeVar("Result")

IS_THERE: Final = {
    "postgresql": "SELECT 1 WHERE to_regclass('dulse_meta') IS NOT NULL",
    "mysql": "SELECT 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = 'dulse_meta'",
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = 'dulse_meta'",
}
"""Asked without an error, which would end the caller's transaction on PostgreSQL."""

MARKERS: Final = {"qmark": "?", "numeric": ":", "numeric_dollar": "$"}

KNOWN: Final = "dulse"
"""What a connection whose tables we have seen remembers in SQLAlchemy's `Connection.info`."""


class CallersCursor:
    """What a Link needs of a cursor, made of SQLAlchemy's Connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.rowcount = 0

    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        """Do a statement, and take all its rows."""
        given = (tuple(values),) if values else ()
        result = self._connection.exec_driver_sql(statement, *given)
        self.rowcount = result.rowcount
        self._rows = [tuple(row) for row in result] if result.returns_rows else ()

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Do the same for each of the rows."""
        self._connection.exec_driver_sql(statement, [tuple(row) for row in rows])

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give the rows of the last statement."""
        return list(self._rows)


def dialect_of(dialect: Any) -> Dialect | None:
    """Give ours for SQLAlchemy's dialect of an engine that has connected once; None: it is none of those we know."""
    is_mariadb = dialect.name == "mariadb" or getattr(dialect, "is_mariadb", False)
    return _dialect(dialect.name, MARKERS.get(dialect.paramstyle, "%s"), is_mariadb)


@cache
def _dialect(name: str, marker: str, is_mariadb: bool) -> Dialect | None:
    return dialect_named(name, marker, is_mariadb=is_mariadb)


def run_within(session: Any, place: str, identity: int, work: Callable[[Link], Result]) -> Result:
    """Do work in the transaction of a Session or Connection that is in the database of this identity."""
    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session, scoped_session

    if isinstance(session, scoped_session):
        session = session()
    if isinstance(session, Session):
        session = session.connection()
    if not isinstance(session, Connection):
        raise _wrong(session, "a Session or Connection of SQLAlchemy, in dulse.aio an AsyncSession or AsyncConnection")
    return work(_checked(session, place, identity))


async def run_within_soon(session: Any, place: str, identity: int, work: Callable[[Link], Result]) -> Result:
    """Do the same for an AsyncSession or AsyncConnection, in this task."""
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

    if isinstance(session, async_scoped_session):
        session = session()
    if not isinstance(session, AsyncConnection | AsyncSession):
        raise _wrong(session, "an AsyncSession or AsyncConnection of SQLAlchemy: the others would stop the event loop")
    found: Result = await session.run_sync(run_within, place, identity, work)
    return found


def _wrong(session: object, wanted: str) -> Exception:
    return errors.make(errors.NotSupported, f"session= has to be {wanted}, not {type(session).__name__}")


def _checked(connection: Any, place: str, identity: int) -> Link:
    """Give a Link for the caller's connection, if it is in our database and has a transaction."""
    dialect = dialect_of(connection.dialect)
    link = None if dialect is None else Link(CallersCursor(connection), dialect, place)
    if link is None or not _is_at_home(link, connection.info, identity):
        url = connection.engine.url.set(query={}).render_as_string(hide_password=True)
        text = f"the session is connected to {url}, where it does not see the tables of the broker in {place}"
        raise errors.make(errors.NotSupported, f"{text}: use a session of that database (and schema)")
    if _commits_by_itself(connection):
        text = "the session commits each statement by itself (AUTOCOMMIT): there is no transaction to publish with"
        raise errors.make(errors.NotSupported, f"{text}: publish without session, or use another isolation level")
    return link


def _is_at_home(link: Link, info: dict[str, Any], identity: int) -> bool:
    if KNOWN not in info:
        if not link.rows(IS_THERE[link.dialect.name]):
            return False
        info[KNOWN] = True
    return link.rows(GET_IDENTITY) == [(identity,)]


def _commits_by_itself(connection: Any) -> bool:
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return True
    inner = connection.connection.dbapi_connection
    try:
        commits: bool = connection.dialect.detect_autocommit_setting(inner)
    except (AttributeError, NotImplementedError):  # an older SQLAlchemy, or a driver that it does not know so well
        return False
    return commits and not getattr(inner, "in_transaction", False)  # programs may begin by themselves on SQLite
