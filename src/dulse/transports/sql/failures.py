"""The one place where the failures of databases and their drivers become errors of dulse."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from dulse import errors

__all__ = ["is_answer", "is_forbidden", "is_lock_trouble", "is_lost", "translate"]

Kind = tuple[type[errors.DulseError], str]

_BUSY: Final = (errors.StorageBusy, "{place}: others held its locks for too long: find out who, or allow more time")
_LOST: Final = (errors.ConnectionLost, "the connection to {place} broke: {error}")
_REFUSED: Final = (errors.ConnectionRefused, "{place} takes no connection: {error}")
_DENIED: Final = (errors.AuthenticationFailed, "{place} does not accept this user and password: {error}")
_FULL: Final = (
    errors.StorageFull,
    "{place} has no room left; nothing was written: free some space and repeat: {error}",
)
_READ_ONLY: Final = (errors.StorageReadOnly, "{place} can only be read: name the primary server: {error}")
_NO_RIGHTS: Final = (
    errors.StorageReadOnly,
    "{place}: this user may not do that: it has to be allowed to connect, to create tables, to read and write: {error}",
)
_DAMAGED: Final = (
    errors.StorageCorrupt,
    "{place}: its tables are no longer those of a dulse broker: restore them, or name another database: {error}",
)
_NO_DATABASE: Final = (errors.StorageError, "{place}: there is no such database: create it: {error}")
_TOO_LARGE: Final = (
    errors.ContentTooLarge,
    "{place} does not take a record of that size (MySQL: max_allowed_packet): keep the content elsewhere: {error}",
)
_NO_TLS: Final = (errors.CertificateInvalid, "the certificate of {place} is not valid: {error}")
_OTHER: Final = (errors.StorageError, "{place}: {error}")

_STATES: Final[dict[str, Kind]] = {
    "57014": _BUSY,
    "55P03": _BUSY,
    "40P01": _BUSY,
    "40001": _BUSY,
    "53100": _FULL,
    "53300": _REFUSED,
    "25006": _READ_ONLY,
    "42501": _NO_RIGHTS,
    "42P01": _DAMAGED,
    "42703": _DAMAGED,
    "42P07": _DAMAGED,
    "28P01": _DENIED,
    "28000": _DENIED,
    "3D000": _NO_DATABASE,
    "57P01": _LOST,
    "57P02": _LOST,
    "57P03": _REFUSED,
    "54000": _TOO_LARGE,
}
"""PostgreSQL's SQLSTATE codes (its manual, appendix A)."""

_NUMBERS: Final[dict[int, Kind]] = {
    **dict.fromkeys((1205, 1213, 1317, 3024, 1969), _BUSY),
    **dict.fromkeys((1045, 1698, 1251, 2059), _DENIED),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), _NO_RIGHTS),
    **dict.fromkeys((1146, 1054, 1932), _DAMAGED),
    **dict.fromkeys((1290, 1792, 1836), _READ_ONLY),
    **dict.fromkeys((1114, 1021, 3, 1041), _FULL),
    **dict.fromkeys((1153, 1301), _TOO_LARGE),
    **dict.fromkeys((1040, 1203, 2002, 2003, 2005), _REFUSED),
    **dict.fromkeys((0, 1053, 1927, 2006, 2013, 2014, 2055, 4031), _LOST),
    1049: _NO_DATABASE,
    2026: _NO_TLS,
}
"""MySQL's and MariaDB's error numbers."""

_SQLITE_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE: Final[dict[int, Kind]] = {
    **dict.fromkeys(_SQLITE_BUSY, _BUSY),
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_ERROR: _DAMAGED,
    sqlite3.SQLITE_TOOBIG: _TOO_LARGE,
}

_SPOKEN: Final[tuple[tuple[str, Kind], ...]] = (
    ("password authentication failed", _DENIED),
    ("no password supplied", _DENIED),
    ("pg_hba.conf", _DENIED),
    ("authentication", _DENIED),
    ("certificate", _NO_TLS),
    ("does not exist", _NO_DATABASE),
    ("is not permitted", _NO_RIGHTS),
    ("permission denied for", _NO_RIGHTS),
)
"""What PostgreSQL says, without a code, to those whom it does not let in."""

_TRANSIENT: Final = {"40P01", "40001"}
_DEADLOCK: Final = 1213
_TOO_MANY: Final = {1040, 1203}
"""Connections, on MySQL."""


def _state(error: BaseException) -> str | None:
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


def _number(error: BaseException) -> int | None:
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) else None


def _sqlite_code(error: BaseException) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_lock_trouble(error: BaseException) -> bool:
    """Tell whether nothing was done for reasons of locks that may be gone by now."""
    return _state(error) in _TRANSIENT or _number(error) == _DEADLOCK or _sqlite_code(error) in _SQLITE_BUSY


def is_answer(error: BaseException) -> bool:
    """Tell whether a server was there to refuse a connection, be it for want of a free one."""
    return _kind(error, connecting=True)[0] not in {errors.ConnectionRefused, errors.ConnectionLost} or (
        _state(error) == "53300" or _number(error) in _TOO_MANY
    )


def is_lost(error: BaseException, connection: Any) -> bool:
    """Tell whether a connection cannot be used any more after this error."""
    if isinstance(error, sqlite3.Error):
        return False
    if getattr(connection, "closed", False) or getattr(connection, "broken", False):
        return True
    return _kind(error, connecting=False)[0] is errors.ConnectionLost


def is_forbidden(error: BaseException) -> bool:
    """Tell whether a server refused what another connection may do: some rules hold from a session's start to its end.

    So it is with MySQL's rights on a database, and with PostgreSQL's default_transaction_read_only.
    """
    return not isinstance(error, sqlite3.Error) and _kind(error, connecting=False)[0] is errors.StorageReadOnly


def _kind(error: BaseException, *, connecting: bool) -> Kind:
    state, number, code = _state(error), _number(error), _sqlite_code(error)
    if number is not None:  # first, for PyMySQL has states as well, which say less
        return _NUMBERS.get(number, _OTHER)
    if state is not None:
        return _STATES.get(state) or (_LOST if state.startswith("08") else _OTHER)
    if code is not None:
        return _SQLITE.get(code, _OTHER)
    if connecting:
        words = str(error)
        return next((kind for part, kind in _SPOKEN if part in words), _REFUSED)
    # Where nothing but the driver itself speaks, the server has said nothing.
    return _LOST if type(error).__name__ in {"OperationalError", "InterfaceError"} else _OTHER


def translate(error: BaseException, place: str, *, connecting: bool = False, silent: bool = False) -> Exception:
    """Make the error of dulse for one of a driver's; `silent`: we have cut the connection as nothing came."""
    if silent:
        text = (
            f"{place} did not answer in time; whether it has done what it was told nobody knows: repeat it if in doubt"
        )
        return errors.make(errors.ConnectionLost, text)
    kind, text = _kind(error, connecting=connecting)
    words = " ".join(str(error.args[-1] if error.args else error).split())
    return errors.make(kind, text.format(place=place, error=words))
