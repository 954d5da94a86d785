"""The one place where SQLite's and the system's failures become errors of dulse."""

from __future__ import annotations

import errno
import math
import os
import sqlite3
from pathlib import Path
from typing import Final

from dulse import errors

__all__ = ["file_failure", "is_busy", "translate"]

_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}

_FULL: Final = (
    errors.StorageFull,
    "the disk or quota of {path} is used up; nothing was written: free some space and repeat",
)
_READ_ONLY: Final = (
    errors.StorageReadOnly,
    "{path} cannot be written: this user needs write access to the file, its -wal and -shm, and their folder",
)
_DAMAGED: Final = (
    errors.StorageCorrupt,
    (
        "{path} is damaged or no SQLite database ({error}): stop its users, keep a copy, then restore a backup or "
        "rescue it with `sqlite3 FILE .recover`; or name another file"
    ),
)
_DELETED: Final = (
    errors.StorageError,
    "{path} was deleted while it was in use: what was in it is lost; open a new connection to begin anew",
)
_KINDS: Final[dict[int, tuple[type[errors.DulseError], str]]] = {
    **dict.fromkeys(
        _BUSY,
        (errors.StorageBusy, "{path}: others held its lock for {seconds:.1f} s: find out who, or allow more time"),
    ),
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_ERROR: (
        errors.StorageCorrupt,
        "{path}: its tables are no longer those of a dulse broker ({error}): restore them, or name another file",
    ),
    sqlite3.SQLITE_TOOBIG: (
        errors.ContentTooLarge,
        "{path}: SQLite takes records of at most 1,000,000,000 bytes: keep the content elsewhere and send its name",
    ),
}
_CLOSED_UP: Final = (
    errors.StorageError,
    "{path} cannot be opened ({error}): check its permissions, those of its folder, and the limit of open files",
)
_OTHER: Final = (errors.StorageError, "{path}: {error} ({name})")

_DISK_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM, errno.EROFS}

_NEARLY_NOTHING: Final = 1 << 20
"""Bytes of free disk below which a failed write is taken for a full disk."""


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether others held the lock, so that nothing was done and trying again may help."""
    return _primary(error) in _BUSY


def translate(error: sqlite3.Error, path: str, seconds: float) -> Exception:
    """Make the error of dulse for one of SQLite's; `seconds` is how long we have tried."""
    code = _primary(error)
    kind, text = _KINDS.get(code, _OTHER)
    if code == sqlite3.SQLITE_CANTOPEN:
        kind, text = _cannot_open(Path(path))
    elif code == sqlite3.SQLITE_IOERR and _room(Path(path)) < _NEARLY_NOTHING:
        kind, text = _FULL
    name = getattr(error, "sqlite_errorname", "no code")
    return errors.make(kind, text.format(path=path, error=error, seconds=seconds, name=name))


def file_failure(error: OSError, path: str) -> Exception:
    """Make the error of dulse for one of the file system's."""
    kind, text = _CLOSED_UP
    if error.errno in _DISK_FULL:
        kind, text = _FULL
    elif error.errno in _FORBIDDEN:
        kind, text = _READ_ONLY
    name = errno.errorcode.get(error.errno or 0, "no code")
    return errors.make(kind, text.format(path=path, error=error.strerror, name=name))


def _primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for what Python's module says by itself."""
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF


def _cannot_open(path: Path) -> tuple[type[errors.DulseError], str]:
    if not path.exists():
        return _DELETED
    if os.access(path, os.R_OK) and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return _READ_ONLY
    return _CLOSED_UP


def _room(path: Path) -> float:
    """Give the bytes that the file may still grow by, as far as disk and limits tell (setrlimit's RLIMIT_FSIZE)."""
    return min(_free_bytes(path.parent), _bytes_below_limit(path))


def _free_bytes(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return _NEARLY_NOTHING
    return found.f_bavail * found.f_frsize


def _bytes_below_limit(path: Path) -> float:
    try:
        import resource
    except ModuleNotFoundError:  # no Unix
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return math.inf
    files = [path, path.with_name(f"{path.name}-wal")]
    return limit - max(file.stat().st_size for file in files if file.exists())
