"""When to try again, and when to give up: decisions without a clock and without waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any

from dulse.model.options import build, option

_OTHER_NAMES = frozenset({"errback", "callback", "on_revive", "retry_errors"})
"""What Kombu's retry policies may hold besides; whoever makes the calls uses them, not the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often to try again, and how long to wait before each time. All times are seconds."""

    max_retries: int | None = option(None, minimum=0)
    """Tries after the first one; None: no limit but the time, 0: only the first try."""
    interval_start: float = option(1.0, seconds=True, minimum=0)
    """The first wait."""
    interval_step: float = option(1.0, seconds=True, minimum=0)
    """What is added for each further one."""
    interval_max: float = option(30.0, seconds=True, minimum=0)
    """The longest wait."""
    timeout: float | None = option(None, aliases=("connect_retries_timeout",), seconds=True, minimum=0)
    """Time for all tries together, from the start; None: whatever the caller sets."""
    jitter: float = option(0.0, minimum=0, maximum=1)
    """The share of each wait that chance may take away, so that many clients do not come back in step."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], defaults: RetryPolicy | None = None) -> RetryPolicy:
        """Make a policy of a mapping such as Kombu's `retry_policy`; what it does not name comes from `defaults`.

        The functions that such a mapping may hold (errback, callback, on_revive) are left to the caller. Raises
        UnknownOption or InvalidArgument.
        """
        own = {name: value for name, value in given.items() if name not in _OTHER_NAMES}
        checked = build(cls, own, of="a retry policy")
        if defaults is None:
            return checked
        names = {"timeout" if name == "connect_retries_timeout" else name for name in own}
        return cls(**(asdict(defaults) | {name: getattr(checked, name) for name in names}))

    def begin(self, started: float, random: Callable[[], float], deadline: float | None = None) -> Attempts:
        """Begin the tries of one call."""
        return Attempts(self, started, random, deadline)

    def delays(self, random: Callable[[], float]) -> Iterator[float]:
        """Give the wait before each further try, without regard to `timeout`; `random` gives 0 <= x < 1."""
        delays = (self._delay(failures) * (1 - self.jitter * random()) for failures in count())
        return islice(delays, self.max_retries)

    def _delay(self, failures: int) -> float:
        return min(self.interval_start + failures * self.interval_step, self.interval_max)


class Attempts:
    """The tries of one call: counts the failures and decides after each whether there is another try.

    `started` and `deadline` are on the clock whose readings `pause` is given; the policy's timeout counts from
    `started`. The earlier of the two ends it. Not for use by several threads.
    """

    __slots__ = ("_delays", "deadline", "failures")

    def __init__(
        self,
        policy: RetryPolicy,
        started: float,
        random: Callable[[], float],
        deadline: float | None = None,
    ) -> None:
        limits = [] if deadline is None else [deadline]
        if policy.timeout is not None:
            limits.append(started + policy.timeout)
        self.deadline = min(limits, default=None)
        self.failures = 0
        self._delays = policy.delays(random)

    def pause(self, now: float) -> float | None:
        """Count a failure; give the seconds to wait before the next try, or None when that was the last one.

        A wait is cut so that the last try begins at the deadline; how long it may take is the caller's business.
        """
        self.failures += 1
        if self.deadline is not None and now >= self.deadline:
            return None
        delay = next(self._delays, None)
        if delay is None or self.deadline is None:
            return delay
        return min(delay, self.deadline - now)

    def __repr__(self) -> str:
        until = "without a deadline" if self.deadline is None else f"until {self.deadline:.3f}"
        return f"<Attempts {self.failures} failed, {until}>"
