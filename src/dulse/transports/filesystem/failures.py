"""The one place where the file system's failures become errors of dulse."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dulse import errors

__all__ = ["file_failure", "named", "unsynced"]

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM, errno.EROFS}


def file_failure(error: OSError, path: str) -> Exception:
    """Make the error of dulse for one of the system's."""
    if error.errno in _FULL:
        text = f"the disk or quota of {path} is used up; nothing was written: free some space and repeat"
        return errors.make(errors.StorageFull, text)
    if error.errno in _FORBIDDEN:
        text = f"{path} cannot be written: this user needs read and write access to it and all that is in it"
        return errors.make(errors.StorageReadOnly, text)
    if error.errno == errno.ENOENT:
        text = f"{path} was deleted while it was in use: what was in it is lost; open a new connection to begin anew"
        return errors.make(errors.StorageError, text)
    name = errno.errorcode.get(error.errno or 0, "no code")
    return errors.make(errors.StorageError, f"{path}: {error.strerror} ({name})")


def unsynced(error: OSError, path: str) -> Exception:
    """Make the error of dulse for a disk that does not take what has its names already."""
    name = errno.errorcode.get(error.errno or 0, "no code")
    text = (
        f"{path}: {error.strerror} ({name}) on waiting for the disk: what was published is there and can be taken, but "
        "may be lost with the power: publish it again only if it may come twice"
    )
    return errors.make(errors.StorageError, text)


@contextmanager
def named(root: str) -> Iterator[None]:
    """Raise an error of dulse for each of the system's, naming the file or, where there is none, the folder."""
    try:
        yield
    except OSError as error:
        if isinstance(error, errors.DulseError):
            raise
        raise file_failure(error, str(error.filename or root)) from error
