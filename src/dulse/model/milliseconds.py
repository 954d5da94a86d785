"""Durations: seconds in the API, whole milliseconds in what a broker is told."""

from __future__ import annotations

import math

from dulse import errors

LONGEST = 2**32 - 1
"""Milliseconds: the longest that RabbitMQ takes for a TTL or an expiry (about 49 days)."""


def milliseconds(subject: str, seconds: float, *, minimum: int = 0) -> int:
    """Turn seconds into milliseconds, or raise InvalidArgument, which begins with `subject`.

    `minimum` is in milliseconds. What is not a number, is negative, infinite, or beyond `LONGEST` is refused.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise errors.make(errors.InvalidArgument, f"{subject} must be a number of seconds, not {seconds!r}")
    found = round(seconds * 1000) if math.isfinite(seconds) else -1
    if not minimum <= found <= LONGEST or seconds < 0:
        text = f"{subject} must be from {minimum / 1000:g} to {LONGEST / 1000:.0f} seconds, not {seconds!r}"
        raise errors.make(errors.InvalidArgument, text)
    return found
