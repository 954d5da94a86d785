"""Where the file of an SQLite broker lies: whether it can work there, and its creation."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from dulse import errors
from dulse.links.file_systems import network_kind
from dulse.transports.sqlite.failures import file_failure

__all__ = ["Place"]


class Place:
    """A path that was made sure of, and the identity of the file found there."""

    def __init__(self, path: str | os.PathLike[str], *, on_network: bool) -> None:
        given = os.fspath(path)
        if not given or given.startswith(":memory:") or "\0" in given:
            text = f"{given!r} names no file: give a path, or use memory:// for a broker inside the process"
            raise errors.make(errors.InvalidArgument, text)
        self._file: Final = Path(os.path.realpath(given))
        self.path: Final = str(self._file)
        self._on_network = on_network
        self.identity = (0, 0)

    @property
    def wal(self) -> str:
        """Path of the write-ahead log, where every commit leaves its trace."""
        return f"{self.path}-wal"

    def log_size(self) -> int:
        """Give the bytes of the write-ahead log."""
        try:
            return Path(self.wal).stat().st_size
        except OSError:
            return 0

    @property
    def uri(self) -> str:
        """How SQLite is told to open the file without making one."""
        return f"{self._file.as_uri()}?mode=rw"

    def prepare(self) -> None:
        """Check the folder and what lies there; make an empty file (mode 0600) if there is none."""
        folder = self._file.parent
        try:
            if not folder.is_dir():
                text = f"the folder {folder} does not exist, so {self.path} cannot be made: create it first"
                raise errors.make(errors.StorageError, text)
            self._refuse_network(folder)
            self._create(folder)
            found = self._file.stat()
        except OSError as error:
            raise file_failure(error, self.path) from error
        if not stat.S_ISREG(found.st_mode):
            raise errors.make(errors.StorageError, f"{self.path} is not an ordinary file: name another")
        self.identity = (found.st_dev, found.st_ino)

    def is_unchanged(self) -> bool:
        """Tell whether the file that was opened is still the one at the path."""
        try:
            found = self._file.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.identity

    def _create(self, folder: Path) -> None:
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)  # or the name may be gone after a power loss, with all that was committed
        finally:
            os.close(descriptor)

    def _refuse_network(self, folder: Path) -> None:
        if self._on_network:
            return
        kind = network_kind(folder)
        if kind is not None:
            text = (
                f"{self.path} is on a network file system ({kind}), where SQLite's write-ahead log can be damaged: "
                "use a local disk, or a broker with a server, or, if one machine alone uses the file, on_network=True"
            )
            raise errors.make(errors.StorageError, text)
