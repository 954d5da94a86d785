"""Have the process keep memory of the size that messages on their way take, instead of giving it back after each."""

from __future__ import annotations

from functools import cache

_KEPT = 8388608


@cache
def keep_memory() -> None:
    """Allocate and free the memory of many messages at once; the first call in a process does it.

    glibc gives memory back to the system as soon as twice the largest piece lies free that was ever freed (mallopt(3),
    M_TRIM_THRESHOLD), and takes it anew, page by page, for the next messages: more than half of all that messages of
    64 KiB cost. A process may then hold 16 MiB after a peak. Who sets MALLOC_TRIM_THRESHOLD_ decides for himself.
    """
    bytes(_KEPT)
