"""Trying again: counts, waits and tells the caller's functions, by the decisions of `dulse.policy.retry`."""

from __future__ import annotations

from collections.abc import Callable
from random import random
from time import monotonic
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.links.waiting.aio import Signal, finished
from dulse.policy.clocks import Clock

if TYPE_CHECKING:
    from dulse.policy.retry import RetryPolicy

PATIENCE = 60.0
"""Seconds for which calls keep trying whose caller set neither a number of retries nor a time."""

CALLBACK_EVERY = 1.0
"""Seconds between two calls of the caller's `callback` while waiting."""

Retries = int | EllipsisType | None
"""A number of retries; None: without end; `...`: until the time is over, `PATIENCE` where none is given."""


def make_policy(
    max_retries: Retries,
    interval_start: float,
    interval_step: float,
    interval_max: float,
    timeout: float | None = None,
    jitter: float = 0,
) -> RetryPolicy:
    """Check what a caller gave and make a policy of it."""
    from dulse.policy.retry import RetryPolicy  # with dataclasses and inspect: 12 ms, for whoever connects

    if isinstance(max_retries, EllipsisType):
        max_retries, timeout = None, PATIENCE if timeout is None else timeout
    return RetryPolicy.from_mapping(
        {
            "max_retries": max_retries,
            "interval_start": interval_start,
            "interval_step": interval_step,
            "interval_max": interval_max,
            "timeout": timeout,
            "jitter": jitter,
        }
    )


class Stopwatch:
    """Seconds since it was made: on a clock or in the real world, whichever is more."""

    __slots__ = ("_clock", "_real_start", "_start")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self._real_start = monotonic()

    def elapsed(self) -> float:
        """Give the seconds."""
        return max(self._clock.monotonic() - self._start, monotonic() - self._real_start)


class Retrying:
    """The tries of one call that goes on until it works, or until a policy ends it.

    `errback(failure, seconds)` is called before each wait, `callback()` at least every second while it lasts; what
    they raise ends the call.
    """

    def __init__(
        self,
        clock: Clock,
        policy: RetryPolicy,
        errback: Callable[[Exception, float], Any] | None = None,
        callback: Callable[[], Any] | None = None,
    ) -> None:
        self.errback = errback
        self._callback = callback
        self._clock = clock
        self._watch = Stopwatch(clock)
        self._attempts = policy.begin(0.0, random)

    async def again(self, failure: Exception, *, at_once: bool = False) -> bool:
        """Count a failure; True, after the wait, if there is another try; `at_once` leaves out the first wait."""
        seconds = self._attempts.pause(self._watch.elapsed())
        if seconds is None:
            return False
        if at_once and self._attempts.failures == 1:
            seconds = 0
        if self.errback is not None:
            await finished(self.errback(failure, seconds))
        await self._wait(seconds)
        return True

    def surrender(self, failure: Exception, *, convert: bool = True) -> Exception:
        """Give the error to raise after the last try, which says how many there were."""
        text = f"gave up after {self._attempts.failures} tries in {self._watch.elapsed():.1f} s"
        if not convert or isinstance(failure, errors.OperationalError):
            failure.add_note(text)
            return failure
        surrender = errors.make(errors.OperationalError, f"{failure} ({text})")
        surrender.__cause__ = failure
        return surrender

    async def _wait(self, seconds: float) -> None:
        watch = Stopwatch(self._clock)
        jumped = Signal()
        unsubscribe = self._clock.on_advance(jumped.notify)
        try:
            while True:
                seen = jumped.ticket()
                left = seconds - watch.elapsed()
                if left <= 0:
                    return
                if self._callback is not None:
                    await finished(self._callback())
                await jumped.wait(min(left, CALLBACK_EVERY), seen)
        finally:
            unsubscribe()
