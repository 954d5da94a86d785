"""SQLAlchemy as the source of connections: its URLs, its drivers, and what it says if one of them cannot be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from dulse import errors
from dulse.model.records import Guard, Problem, Put
from dulse.transports.sql import drivers, putting, schema
from dulse.transports.sql.dialects import Dialect
from dulse.transports.sql.limits import has_limit
from dulse.transports.sql.link import Link
from dulse.transports.sql.sessions import dialect_of, run_within, run_within_soon
from dulse.transports.sql.storage import TableStorage
from dulse.virtual.storage import StaleTopology

__all__ = ["SQLStorage"]

SHORTEST_CONNECT: Final = 2
"""Seconds: libpq knows no shorter limit."""


class SQLStorage(TableStorage):
    """The store of `sqlalchemy+…://`. Any number of threads, processes and machines may use one database.

    `url` is SQLAlchemy's; `engine_options` go to its `create_engine`. `longest_pause` is how many seconds may lie
    between two looks of an idle consumer where the database tells nobody of changes. `password` gives the one that is
    valid now.
    """

    def __init__(
        self,
        url: str,
        *,
        engine_options: Mapping[str, Any] | None = None,
        longest_pause: float | None = None,
        password: Callable[[], str] | None = None,
    ) -> None:
        engine = Engine(url, dict(engine_options or {}), password)
        super().__init__(engine, kind=engine.kind, listens=engine.listens, longest_pause=longest_pause)
        self._capabilities = self._capabilities._replace(transactions=True)
        self._identity = 0

    def open(self, seconds: float) -> None:
        """Connect, make the tables if there are none, and learn by what this database is known again."""
        super().open(seconds)
        self._identity = self._connections.once(None, schema.identity)

    def put_within(self, session: Any, puts: Sequence[Put], guards: Sequence[Guard] = ()) -> Sequence[Problem]:
        """Write by the transaction of a Session or Connection of SQLAlchemy."""
        return run_within(session, self._connections.place, self._identity, partial(_put, puts, guards))

    async def put_within_soon(
        self, session: Any, puts: Sequence[Put], guards: Sequence[Guard] = ()
    ) -> Sequence[Problem]:
        """Write by the transaction of an AsyncSession or AsyncConnection, in this task."""
        return await run_within_soon(session, self._connections.place, self._identity, partial(_put, puts, guards))


def _put(puts: Sequence[Put], guards: Sequence[Guard], link: Link) -> Sequence[Problem]:
    if len(puts) == 1 and len(puts[0].targets) == 1 and not has_limit(puts[0].targets[0]):
        if not putting.put_one(link, puts[0], puts[0].targets[0], guards):
            raise StaleTopology(guards)
        return ()
    problems = putting.put_all(link, puts, guards, None, None, locks=False)
    # Who drops what is too much would wait for SQLite's lock until the caller commits: the next `put` has it done.
    return [problem for problem in problems if problem.excess_count < 0 or not link.dialect.is_sqlite]


class Engine:
    """SQLAlchemy's engine, which keeps no connections itself."""

    def __init__(self, url: str, options: dict[str, Any], password: Callable[[], str] | None) -> None:
        self._connecting = threading.local()
        self._password = password
        self._engine, self.place = _make(url, options, self._complete)
        self.error: type[Exception] = self._engine.dialect.dbapi.Error
        self.kind: str = self._engine.dialect.name
        self.listens = self.kind == "postgresql" and self._engine.dialect.driver in {"psycopg", "psycopg2"}

    def connect(self, seconds: float) -> Any:
        """Make one more connection, with whatever an application has told SQLAlchemy to do then."""
        from sqlalchemy import exc

        self._connecting.seconds = max(SHORTEST_CONNECT, round(seconds))
        try:
            proxy = self._engine.raw_connection()
        except exc.DBAPIError as error:
            raise error.orig if isinstance(error.orig, self.error) else error from error
        proxy.detach()
        drivers.forget_timeout(proxy.dbapi_connection)
        return proxy

    def dialect(self) -> Dialect:
        """Give what the database speaks."""
        found = dialect_of(self._engine.dialect)
        if found is None:
            text = (
                f"{self.place}: dulse keeps its broker in PostgreSQL, MySQL 8, MariaDB 10.6 or SQLite, "
                f"not in {self.kind}"
            )
            raise errors.make(errors.NotSupported, text)
        return found

    def _complete(self, dialect: Any, _record: Any, _arguments: Any, named: dict[str, Any]) -> None:
        """Add to what a driver's `connect` is given, each time."""
        if dialect.name == "sqlite":
            named["check_same_thread"] = False  # closed by others; one at a time uses it
            return
        seconds = getattr(self._connecting, "seconds", SHORTEST_CONNECT)
        named.setdefault("connect_timeout", seconds)
        if dialect.driver == "pymysql":
            named.setdefault("read_timeout", seconds)
        if self._password is not None:
            named["password"] = self._password()


def _make(url: str, options: dict[str, Any], complete: Callable[..., None]) -> tuple[Any, str]:
    """Make an engine, and the name of the database for errors, without password."""
    try:
        from sqlalchemy import create_engine, event, exc, pool
        from sqlalchemy.engine import make_url
    except ModuleNotFoundError as missing:
        text = f"SQL databases need the package {missing.name!r}: pip install 'dulse[sql]'"
        raise errors.make(errors.UnknownTransport, text) from missing
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgres":
            parsed = parsed.set(drivername="postgresql")
        parsed = _blocking(parsed)
        for driver, module in drivers.PREFERRED.get(parsed.drivername, ()):
            if find_spec(module) is not None:
                parsed = parsed.set(drivername=f"{parsed.drivername}+{driver}")
                break
        engine = create_engine(parsed, **{"poolclass": pool.NullPool, **options})
    except ModuleNotFoundError as missing:
        text = f"{url.partition(':')[0]}:// needs the driver {missing.name!r}: pip install 'dulse[sql]'"
        raise errors.make(errors.UnknownTransport, text) from missing
    except (exc.ArgumentError, TypeError) as wrong:
        text = f"SQLAlchemy does not take the URL or an option of {url.partition(':')[0]}://: {wrong}"
        raise errors.make(errors.InvalidURL, text) from None
    place = parsed.set(query={}).render_as_string(hide_password=True)
    event.listen(engine, "do_connect", complete)
    return engine, place


def _blocking(url: Any) -> Any:
    """Give the same database by a blocking driver for a URL that names one of asyncio."""
    backend, _, driver = url.drivername.partition("+")
    if driver not in drivers.OF_ASYNCIO:
        return url
    query = {name: value for name, value in url.query.items() if name not in drivers.ONLY_ASYNCPG}
    return url.set(drivername=backend, query=query)
