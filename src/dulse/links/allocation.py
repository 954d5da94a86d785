"""Have the process keep memory of the size that readings take, instead of giving it back after each."""

from __future__ import annotations

from functools import cache

_KEPT = 4194304


@cache
def keep_memory() -> None:
    """Allocate and free the memory of several readings at once; the first call in a process does it.

    glibc gives memory back to the system as soon as twice the largest piece lies free that was ever freed (mallopt(3),
    M_TRIM_THRESHOLD), and takes it anew, page by page, for the next reading: half of all that 64 KiB messages cost.
    """
    bytes(_KEPT)
