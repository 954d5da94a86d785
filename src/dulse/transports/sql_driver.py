"""Serves `sqlalchemy+…://`, `postgresql://`, `mysql://` and `mariadb://`: a broker in an SQL database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from dulse.model.options import VirtualOptions
from dulse.transport import Settings
from dulse.transports.sql import SQLStorage
from dulse.transports.sql.encryption import tls_query
from dulse.virtual.driver import in_threads, virtual_driver

PREFIXES: Final = {"sqla", "sqlalchemy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLOptions(VirtualOptions):
    """What these URLs and `transport_options` take besides. Behind `sqla+`, a query is SQLAlchemy's."""

    connect_args: Mapping[str, Any] | None = None
    """What else the driver's `connect` is given."""
    engine_options: Mapping[str, Any] | None = None
    """What else SQLAlchemy's `create_engine` is given."""
    ssl: Any = None
    """True, or a mapping of `ca_certs`, `certfile`, `keyfile`, `cert_reqs`: TLS, verified unless told otherwise."""
    sslmode: str | None = None
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    application_name: str | None = None
    target_session_attrs: str | None = None
    """As libpq has these six (PostgreSQL's manual, "Parameter Key Words")."""


LIBPQ: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "target_session_attrs")


def _storage(settings: Settings, options: SQLOptions) -> SQLStorage:
    parameters = settings.parameters
    is_prefixed = parameters.transport in PREFIXES
    url = parameters.inner_url if is_prefixed else parameters.as_uri(include_password=True)
    arguments = {name: value for name in LIBPQ if (value := getattr(options, name)) is not None}
    arguments |= tls_query(options.ssl, parameters.scheme)
    return SQLStorage(
        url,
        engine_options={
            **(options.engine_options or {}),
            "connect_args": {**arguments, **(options.connect_args or {})},
        },
        longest_pause=options.polling_interval,
        password=settings.password,
    )


def _version() -> str:
    try:
        return version("sqlalchemy")
    except PackageNotFoundError:
        return "N/A"


DRIVER = virtual_driver("sql", SQLOptions, _storage, in_threads, driver_version=_version)
