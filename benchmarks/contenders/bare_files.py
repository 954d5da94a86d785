"""Plain files, doing what cannot be left out: the limit."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from benchmarks.measure import Contender


def singly(folder: Path, body: bytes, count: int, *, sync: bool) -> Contender:
    """Write, wait for the disk, and rename; read and unlink."""
    folder.mkdir()
    names: deque[str] = deque()

    def publish(number: int) -> None:
        for _ in range(number):
            made = f"{folder}/{os.urandom(8).hex()}"
            descriptor = os.open(f"{made}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(descriptor, body)
            if sync:
                os.fsync(descriptor)
            os.close(descriptor)
            os.rename(f"{made}.new", made)  # noqa: PTH104 - the limit: no Path is built
            names.append(made)

    def consume(number: int) -> None:
        for _ in range(number):
            name = names.popleft()
            Path(name).read_bytes()
            os.unlink(name)  # noqa: PTH108 - as above

    return Contender("files", {"publish": publish, "deliver + ack": consume}, lambda: None, count)
