"""How many priorities are kept apart, and which of them is served first."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final, Literal, NamedTuple

from dulse import errors
from dulse.model.records import Target

__all__ = ["EACH", "KOMBUS", "Order", "Priorities", "steps_from"]

KOMBUS: Final = (0, 3, 6, 9)
"""The steps that Kombu's processes have by default."""

Order = Literal["highest", "lowest"]
"""What is served first."""

_MOST: Final = 255


class Priorities(NamedTuple):
    """The same in all processes that use one broker."""

    steps: tuple[int, ...] | None = None
    """Sorted, the first 0; a priority between two of them counts as the lower. None: each number is one."""
    order: Order = "highest"

    def step(self, priority: int) -> int:
        """Give what a priority counts as."""
        return priority if self.steps is None else self.steps[max(0, bisect_right(self.steps, priority) - 1)]

    def stepped(self, target: Target) -> Target:
        """Give a target with what its priority counts as."""
        step = self.step(target.priority)
        return target if step == target.priority else target._replace(priority=step)


EACH: Final = Priorities()


def steps_from(given: Any) -> tuple[int, ...]:
    """Check the option `priority_steps`."""
    try:
        wanted = given.split(",") if isinstance(given, str) else list(given)
        steps = {int(each) for each in wanted}
    except (TypeError, ValueError):
        steps = set()
    if 0 not in steps or not all(0 <= step <= _MOST for step in steps):
        text = (
            f"the option 'priority_steps' is {given!r}; it is a list of numbers from 0 to {_MOST}, and 0, which "
            "messages without a priority have, must be one of them, as in [0, 3, 6, 9]"
        )
        raise errors.make(errors.InvalidArgument, text)
    return tuple(sorted(steps))
