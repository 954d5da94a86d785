"""Time contenders in turns: A B C, A B C, … so that a busy moment of the machine hits all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

Work = Callable[[int], None]
"""Does something so many times."""


class Cost(NamedTuple):
    """What one message took."""

    cpu_us: float
    """Of this process, all its threads."""
    wall_us: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return 1e6 / self.wall_us


class Contender(NamedTuple):
    """Somebody who can do a series of works; each is done in turn, so that the first may leave what the next needs."""

    name: str
    works: dict[str, Work]
    close: Callable[[], None]
    count: int
    """Messages in a round: fewer for those that are slow."""


@dataclass
class Comparison:
    """Contenders in the same work, the first being the one that is judged."""

    title: str
    contenders: Sequence[Contender]
    targets: dict[tuple[str, str], float] = field(default_factory=dict)
    """(work, other contender): how many times as much the other must take, at least."""
    note: str = ""


def timed(work: Work, count: int) -> Cost:
    """Do it once, with the collector out of the way."""
    gc.collect()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        work(count)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        gc.enable()
    return Cost(cpu / count * 1e6, wall / count * 1e6)


def compare(comparison: Comparison, rounds: int, share: float) -> dict[tuple[str, str], Cost]:
    """Run all contenders in turns; gives the medians by (work, contender). `share` scales the number of messages."""
    samples: dict[tuple[str, str], list[Cost]] = {}
    try:
        for turn in range(rounds + 1):
            for contender in comparison.contenders:
                count = max(10, int(contender.count * share))
                for work, does in contender.works.items():
                    cost = timed(does, count)
                    if turn:  # the first round warms up
                        samples.setdefault((work, contender.name), []).append(cost)
    finally:
        for contender in comparison.contenders:
            contender.close()
    return {
        key: Cost(median(cost.cpu_us for cost in costs), median(cost.wall_us for cost in costs))
        for key, costs in samples.items()
    }
