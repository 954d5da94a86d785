"""Folders for the data of servers: outside the tree, and deleted even if the test run that made them was killed."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time

PREFIX = "dulse-servers-"
LOCK = "in-use"
YOUNG = 60.0
"""Seconds in which a folder may have no lock yet."""


@contextmanager
def data_folder(inside: Path | None = None) -> Iterator[Path]:
    """A folder, deleted afterwards; servers that run as another user may pass through it."""
    place = inside or Path(tempfile.gettempdir())
    delete_left_over(place)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    made.chmod(0o711)
    try:
        with made.joinpath(LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # ours as long as we live
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def delete_left_over(place: Path) -> None:
    """Delete the folders of those who did not live to do it."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or deleted by somebody else meanwhile
            if time() - folder.stat().st_mtime > YOUNG and _is_left_over(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder: Path) -> bool:
    with folder.joinpath(LOCK).open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
