"""Linux's word that a file was written to, see inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["Inotify"]

_IN_MODIFY: Final = 0x2
_IN_CLOSE_WRITE: Final = 0x8
_IN_MOVED_TO: Final = 0x80
_IN_IGNORED: Final = 0x8000
_EVENT: Final = struct.Struct("iIII")
_BUFFER: Final = 65536


class Inotify:
    """Watches one file, and folders for files that come. Raises OSError where the system has no inotify to give."""

    def __init__(self, path: str, folders: Sequence[str] = ()) -> None:
        try:
            library = ctypes.CDLL(None, use_errno=True)
            initialize, self._add_watch = library.inotify_init1, library.inotify_add_watch
        except (AttributeError, TypeError) as error:
            raise OSError("this system has no inotify") from error
        self._path = os.fsencode(path)
        self._folders = [os.fsencode(folder) for folder in folders]
        self.descriptor: int = initialize(os.O_NONBLOCK | os.O_CLOEXEC)
        self.is_armed = False
        """False after the file was deleted, until `arm` finds it again."""
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 failed")
        self.arm()

    def __del__(self) -> None:
        """Give the descriptor back."""
        if getattr(self, "descriptor", -1) >= 0:
            os.close(self.descriptor)

    def arm(self) -> bool:
        """Watch the file that is at the path now, and the folders; tells whether there are all of them."""
        watches = [(self._path, _IN_MODIFY), *[(folder, _IN_CLOSE_WRITE | _IN_MOVED_TO) for folder in self._folders]]
        self.is_armed = all(self._add_watch(self.descriptor, path, mask) >= 0 for path, mask in watches)
        return self.is_armed

    def read(self) -> bool:
        """Tell whether there was anything since the last time."""
        try:
            data = os.read(self.descriptor, _BUFFER)
        except BlockingIOError:
            return False
        position = 0
        while position < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, position)
            if mask & _IN_IGNORED:
                self.is_armed = False
            position += _EVENT.size + length
        return True
