"""Makes SQLAlchemy's engine of a URL: which driver is taken, and what SQLAlchemy says if it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from dulse import errors
from dulse.transports.sql.drivers import PREFERRED

__all__ = ["make_engine"]


def make_engine(
    url: str, options: dict[str, Any], connect_seconds: Callable[[], int], password: Callable[[], str] | None
) -> tuple[Any, str]:
    """Make an engine that keeps no connections itself, and the name of the database for errors, without password."""
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
        for driver, module in PREFERRED.get(parsed.drivername, ()):
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
    event.listen(engine, "do_connect", partial(_complete, connect_seconds, password))
    return engine, place


def _complete(
    connect_seconds: Callable[[], int],
    password: Callable[[], str] | None,
    dialect: Any,
    _record: Any,
    _arguments: Any,
    named: dict[str, Any],
) -> None:
    """Add to what a driver's `connect` is given, each time."""
    if dialect.name == "sqlite":
        named["check_same_thread"] = False  # closed by others; one at a time uses it
        return
    named.setdefault("connect_timeout", connect_seconds())
    if dialect.driver == "pymysql":
        named.setdefault("read_timeout", connect_seconds())
    if password is not None:
        named["password"] = password()
