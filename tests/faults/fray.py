"""The program of a kill test: lets workers compete and be killed, then lets living ones finish.

Started with a folder and the JSON of a Plan; leaves in that folder the notes that `account` reads.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from dulse.testing.killing import Child
from tests.faults.brokers import Store
from tests.faults.workers import Fault, Worker

LIMIT = 20.0
"""Seconds within which a process reaches the point where it is to die."""

PAUSE = 0.002
"""Seconds that those who are killed at random work for each message."""

BEGINNING = 5.0
"""Seconds within which a process has begun with its first message, if there is one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is killed, when, and with how many messages."""

    prefetch: int
    messages: int
    mode: Literal["operations", "statements", "random"]
    last: int
    """The last operation or statement that somebody is killed at; for "random", the number of kills."""
    step: int = 1
    seed: int = 0
    store: Store = "sqlite"

    def faults(self, first: int = 1) -> Iterator[Fault]:
        for number in range(first, self.last + 1, self.step):
            if self.mode == "statements":
                yield "statement", number
            else:
                yield "before", number
                yield "after", number


class Fray:
    """The processes and their ends."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._count = 0
        self._killed: list[str] = []

    def run(self) -> None:
        plan = self._plan
        self._live(lambda worker: worker.publish(plan.messages // 2))
        # From here on somebody is killed again and again.
        if plan.mode == "random":
            self._kill_at_random()
        else:
            self._kill_at_faults()
        self._live(lambda worker: worker.publish(plan.messages - plan.messages // 2))
        finishing = [self._start(Worker.finish) for _ in range(2)]
        for _, child in finishing:
            self._check(child.wait(60))
        self._live(Worker.collect_dead)
        (self._folder / "killed.json").write_text(json.dumps(self._killed))

    def _start(
        self, task: Callable[[Worker], None], fault: Fault | None = None, pause: float = 0.0
    ) -> tuple[Worker, Child]:
        self._count += 1
        worker = Worker(self._folder, f"w{self._count}", self._plan.prefetch, fault, pause, self._plan.store)
        return worker, Child(lambda: task(worker))

    def _live(self, task: Callable[[Worker], None]) -> None:
        self._check(self._start(task)[1].wait(60))

    def _check(self, status: int) -> None:
        if status != 0:
            raise SystemExit(f"a worker that nobody killed ended with status {status}")

    def _kill_at_faults(self) -> None:
        """Two consumers at a time and one publisher, each replaced by one that lives a little longer.

        When the publishers have all been killed, living ones go on, so that consumers have what to die of.
        """
        faults = self._plan.faults()
        publishers = self._plan.faults()
        running = [slot for slot in (self._next_consumer(faults), self._next_consumer(faults)) if slot]
        publisher = self._next_publisher(publishers)
        while running or publisher:
            for slot in list(running):
                if self._is_over(*slot):
                    running.remove(slot)
                    following = self._next_consumer(faults)
                    running += [following] if following else []
            if publisher and self._is_over(*publisher):
                publisher = self._next_publisher(publishers) or (self._supply() if running else None)
            time.sleep(0.001)

    def _next_consumer(self, faults: Iterator[Fault]) -> tuple[Worker, Child, float] | None:
        for fault in faults:
            return *self._start(Worker.consume, fault), time.monotonic() + LIMIT
        return None

    def _next_publisher(self, faults: Iterator[Fault]) -> tuple[Worker, Child, float] | None:
        for fault in faults:
            return *self._start(lambda worker: worker.publish(8), fault), time.monotonic() + LIMIT
        return None

    def _supply(self) -> tuple[Worker, Child, float]:
        return *self._start(lambda worker: worker.publish(50)), time.monotonic() + LIMIT

    def _is_over(self, worker: Worker, child: Child, deadline: float) -> bool:
        if not child.has_ended():
            if time.monotonic() > deadline:
                child.kill()
                raise SystemExit(f"{worker} did not come to its end within {LIMIT} s")
            return False
        if child.status == -signal.SIGKILL:
            self._killed.append(worker.name)
        else:
            self._check(child.status or 0)
        return True

    def _kill_at_random(self) -> None:
        chance = random.Random(self._plan.seed)

        def consumer() -> tuple[Worker, Child]:
            return self._start(Worker.consume, pause=PAUSE)

        def publisher() -> tuple[Worker, Child]:
            return self._start(lambda worker: worker.publish(100), pause=PAUSE)

        makers = [consumer, consumer, publisher]
        running = [make() for make in makers]
        for _ in range(self._plan.last):
            place = chance.choice([0, 0, 1, 1, 2])
            worker, child = running[place]
            self._await_begun(worker, child)
            time.sleep(chance.uniform(0.02, 0.2))
            child.kill()
            if child.status == -signal.SIGKILL:
                self._killed.append(worker.name)
            else:
                self._check(child.status or 0)
            running[place] = makers[place]()
        for worker, child in running:
            child.kill()
            if child.status == -signal.SIGKILL:
                self._killed.append(worker.name)

    def _await_begun(self, worker: Worker, child: Child) -> None:
        """Let a process have something in hand, however busy the machine is, unless there is nothing to be had."""
        notes = self._folder / f"{worker.name}.notes"
        end = time.monotonic() + BEGINNING
        while not (child.has_ended() or (notes.exists() and notes.stat().st_size)) and time.monotonic() < end:
            time.sleep(0.002)


def describe(plan: Plan) -> str:
    return json.dumps(asdict(plan))


if __name__ == "__main__":
    Fray(Path(sys.argv[1]), Plan(**json.loads(sys.argv[2]))).run()
