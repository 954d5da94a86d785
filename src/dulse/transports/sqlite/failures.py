"""The one place where SQLite's and the system's failures become errors of dulse."""

from __future__ import annotations

import errno
import os
import sqlite3

from dulse import errors

__all__ = ["file_failure", "is_busy", "translate"]

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NEARLY_NOTHING = 1 << 20
"""Bytes of free disk below which a failed write is taken for a full disk."""


def _primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for what Python's module says by itself."""
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether others held the lock, so that nothing was done and trying again may help."""
    return _primary(error) in _BUSY


def translate(error: sqlite3.Error, path: str, seconds: float) -> Exception:
    """Make the error of dulse for one of SQLite's; `seconds` is how long we have tried."""
    code = _primary(error)
    if code in _BUSY:
        text = f"{path}: others held the write lock for {seconds:.1f} s: raise the timeout, or look for a program that does"
        return errors.make(errors.StorageBusy, text)
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    if code == sqlite3.SQLITE_READONLY:
        return _read_only(path)
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        text = (
            f"{path} is damaged or no SQLite database ({error}): stop its users, keep a copy, then restore a backup, "
            "rescue it with `sqlite3 FILE .recover`, or name another file"
        )
        return errors.make(errors.StorageCorrupt, text)
    if code == sqlite3.SQLITE_ERROR:
        text = (
            f"{path}: its tables are not those of a dulse broker any more ({error}): restore them or name another file"
        )
        return errors.make(errors.StorageCorrupt, text)
    if code == sqlite3.SQLITE_TOOBIG:
        text = f"{path}: a record of more than SQLite's limit of 1,000,000,000 bytes: store its content elsewhere"
        return errors.make(errors.ContentTooLarge, text)
    if code == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(error, path)
    if code == sqlite3.SQLITE_IOERR and _free_bytes(path) < _NEARLY_NOTHING:
        return _full(path)
    return errors.make(errors.StorageError, f"{path}: {error} ({getattr(error, 'sqlite_errorname', 'no code')})")


def file_failure(error: OSError, path: str) -> Exception:
    """Make the error of dulse for one of the file system's."""
    if error.errno in _FULL:
        return _full(path)
    if error.errno in _FORBIDDEN:
        return _read_only(path)
    return errors.make(errors.StorageError, f"{path}: {error.strerror}")


def _full(path: str) -> Exception:
    text = f"the disk or quota of {path} is used up; nothing was written: free some space and repeat"
    return errors.make(errors.StorageFull, text)


def _read_only(path: str) -> Exception:
    text = f"{path} cannot be written: this user needs write access to the file, its -wal and -shm, and to their folder"
    return errors.make(errors.StorageReadOnly, text)


def _cannot_open(error: sqlite3.Error, path: str) -> Exception:
    folder = os.path.dirname(path)
    if not os.path.exists(path):
        text = (
            f"{path} was deleted while it was in use: what was in it is lost; open the connection again to begin anew"
        )
        return errors.make(errors.StorageError, text)
    if os.access(path, os.R_OK) and not (os.access(path, os.W_OK) and os.access(folder, os.W_OK)):
        return _read_only(path)
    return errors.make(
        errors.StorageError, f"{path} cannot be opened ({error}): check its permissions and its folder's"
    )


def _free_bytes(path: str) -> int:
    try:
        found = os.statvfs(os.path.dirname(path))
    except OSError:
        return _NEARLY_NOTHING
    return found.f_bavail * found.f_frsize
