"""SQLAlchemy as the source of connections: its URLs, its drivers, and what it says if one of them cannot be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from dulse import errors
from dulse.transports.sql import drivers
from dulse.transports.sql.dialects import Dialect, dialect_named
from dulse.transports.sql.storage import TableStorage

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
        dialect = self._engine.dialect
        is_mariadb = dialect.name == "mariadb" or getattr(dialect, "is_mariadb", False)
        found = dialect_named(dialect.name, "?" if dialect.paramstyle == "qmark" else "%s", is_mariadb=is_mariadb)
        if found is None:
            text = (
                f"{self.place}: dulse keeps its broker in PostgreSQL, MySQL 8, MariaDB 10.6 or SQLite, "
                f"not in {dialect.name}"
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
