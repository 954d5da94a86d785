"""How long a drain may look into the store, and what it says when that was not enough."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from dulse import errors

PATIENCE = 0.5
"""Seconds that a look into the store may take at least, however short the time to wait for a message: also one of 0
hands over what is there, and others' locks are held for moments only."""


def looks_end(timeout: float | None) -> float | None:
    """Give when the looks into the store must end of a drain that begins now."""
    return None if timeout is None else time.monotonic() + max(timeout, PATIENCE)


@contextmanager
def in_time(timeout: float | None) -> Iterator[None]:
    """Say of a drain whose time is over because others held the store that there was no message."""
    try:
        yield
    except errors.StorageBusy as busy:
        if timeout is None:
            raise
        text = f"no message within {timeout} seconds, in which the store could not be looked into: {busy}"
        raise errors.make(errors.DeadlineExceeded, text) from busy
