"""A run through all that changes the store, step by step, and what the store must look like after each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dulse.model.records import Guard, Leased, Put, Target
from dulse.transports.filesystem import FilesystemStorage

OWNER = "worker"
LEASE_MS = 600_000
QUEUES = ["q", "r", "late", "limited", "parked", "dead", "mortal", "soon"]

State = list[object]


def state_of(path: Path) -> State:
    """Tell what a process that comes afterwards finds, but for times and tokens."""
    storage = FilesystemStorage(path, durability="normal")
    storage.open(10)
    depths = storage.depth(QUEUES)
    seen = [[(each.payload, each.deliveries) for each in storage.peek(queue, 100)] for queue in QUEUES]
    groups = {name: dict(group.values) for name, group in storage.read(["x/e", "q/q"]).items()}
    storage.close(5)
    assert [depth.ready for depth in depths] == [len(each) for each in seen]
    assert [depth.size for depth in depths] == [sum(len(payload) for payload, _ in each) for each in seen]
    return [depths, seen, groups]


class Run:
    """The steps on one folder; each is one call of a method that changes the store."""

    def __init__(self, path: Path) -> None:
        self.storage = FilesystemStorage(path, durability="normal")
        self.held: list[Leased] = []

    def steps(self) -> list[Callable[[], object]]:
        """Give the steps in their order: each puts, takes or gives back one record, or is one step whatever it does."""
        return [
            lambda: self.storage.open(10),
            lambda: self.storage.change({"x/e": 0}, {("x/e", "type"): "topic", ("q/q", "a"): "1"}),
            lambda: self.put(b"one", Target("q")),
            lambda: self.put(b"two", Target("q"), Target("r", priority=5), Target("late", delay_ms=3_600_000)),
            lambda: self.storage.put([each(b"three"), each(b"four"), each(b"4b"), each(b"4c")], self.guards()),
            lambda: self.put(b"five", Target("limited", max_count=1)),
            lambda: self.put(b"six", Target("limited", max_count=1), Target("q")),
            lambda: self.put(b"seven", Target("limited", max_bytes=1, refuse=True), Target("r")),
            lambda: self.storage.put([each(b"eight")], [Guard("x/e", -1)], park="parked"),
            lambda: self.take("q"),
            lambda: self.take("q"),
            lambda: self.take("q"),
            lambda: self.storage.settle([self.held[0].token], OWNER),
            lambda: self.storage.forward(
                self.held[1].token, OWNER, [Put(b"dead", [Target("dead"), Target("r")], 4)], self.guards()
            ),
            lambda: self.take("r"),
            lambda: self.take("limited"),
            lambda: self.storage.release([self.held[3].token], OWNER),
            lambda: self.storage.release([self.held[4].token], OWNER, 3_600_000, counted=False),
            lambda: self.put(b"mortal", Target("mortal", ttl_ms=0)),
            lambda: self.held.extend(self.storage.reserve_expired("mortal", 1, OWNER, LEASE_MS)),
            lambda: self.put(b"reused", Target("q")),
            lambda: self.put(b"delayed", Target("soon", delay_ms=-1)),
            self.storage.sweep,
            lambda: self.held.extend(self.storage.trim("q", 1, None, OWNER, LEASE_MS, 1)),
            lambda: self.storage.renew(OWNER, LEASE_MS),
            lambda: self.storage.settle([self.held[-1].token], OWNER),
            lambda: self.storage.forget(OWNER, 1, force=True),
            lambda: self.storage.renew(OWNER, LEASE_MS),
            lambda: self.storage.purge("q"),
            lambda: self.storage.change({}, {("q/q", "a"): None, ("x/e", "b"): "2"}, ["limited", "late", "r"]),
        ]

    def guards(self) -> list[Guard]:
        """Guard by the group as it is."""
        return [Guard("x/e", self.storage.revisions(["x/e"])[0])]

    def put(self, payload: bytes, *targets: Target) -> None:
        """Put one record under a guard."""
        self.storage.put([Put(payload, targets, len(payload))], self.guards())

    def take(self, queue: str) -> None:
        """Take one record."""
        self.held += self.storage.reserve([(queue, 1)], OWNER, LEASE_MS)[0]


def each(payload: bytes) -> Put:
    """Put one record into the queue that all use."""
    return Put(payload, [Target("q")], len(payload))
