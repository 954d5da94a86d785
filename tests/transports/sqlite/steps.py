"""A run through all that changes the store, step by step, and what the store must look like after each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from dulse.model.records import Guard, Leased, Put, Target
from dulse.transports.sqlite import SQLiteStorage

OWNER = "worker"
LEASE_MS = 600_000

State = dict[str, list[tuple[object, ...]]]

CONTENT = {
    "ready": "SELECT queue, rank, deliveries, ready.size, payload FROM ready JOIN record USING (id, queue, rank) "
    "ORDER BY id",
    "leased": "SELECT queue, leased.deliveries, owner.name, payload FROM leased JOIN record USING (id, queue) "
    "JOIN owner ON owner.key = leased.owner ORDER BY id",
    "delayed": "SELECT queue, deliveries, fresh, payload FROM delayed JOIN record USING (id, queue) ORDER BY id",
    "tally": "SELECT queue, count, bytes FROM tally ORDER BY queue",
    "owners": "SELECT name, expires = 0 FROM owner ORDER BY name",
    "publishers": "SELECT name, number FROM publisher ORDER BY name",
    "revisions": "SELECT grp, revision FROM revision ORDER BY grp",
    "entries": "SELECT grp, name, value FROM entry ORDER BY grp, name",
}
"""What the tables say, without times, ids and tokens."""

FAULTS = {
    "a record that is nowhere, or in two places": "SELECT id FROM record WHERE 1 <> (SELECT count(*) FROM ready WHERE "
    "ready.id = record.id) + (SELECT count(*) FROM leased WHERE leased.id = record.id) + (SELECT count(*) FROM delayed "
    "WHERE delayed.id = record.id)",
    "a place without its record": "SELECT id FROM (SELECT id FROM ready UNION ALL SELECT id FROM leased UNION ALL "
    "SELECT id FROM delayed) WHERE id NOT IN (SELECT id FROM record)",
    "a tally that is wrong": "SELECT * FROM tally WHERE (count, bytes) <> (SELECT count(*), coalesce(sum(size), 0) "
    "FROM ready WHERE ready.queue = tally.queue)",
    "a lease without an owner": "SELECT id FROM leased WHERE owner NOT IN (SELECT key FROM owner)",
    "a group without values": "SELECT grp FROM revision WHERE grp NOT IN (SELECT grp FROM entry)",
    "values without a group": "SELECT grp FROM entry WHERE grp NOT IN (SELECT grp FROM revision)",
}


def state_of(path: Path) -> State:
    """Read what the tables say, and check that they do not contradict each other."""
    connection = sqlite3.connect(path)
    try:
        faults = {name: found for name, query in FAULTS.items() if (found := connection.execute(query).fetchall())}
        assert not faults
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {name: connection.execute(query).fetchall() for name, query in CONTENT.items()}
    finally:
        connection.close()


class Run:
    """The steps on one file; each is one call of a method that changes the store."""

    def __init__(self, path: Path) -> None:
        self.storage = SQLiteStorage(path, durability="normal")
        self.held: list[Leased] = []
        self.revision = 0

    def steps(self) -> list[Callable[[], object]]:
        """Give the steps in their order."""
        return [
            self.open,
            lambda: self.storage.change({"x/e": 0}, {("x/e", "type"): "topic", ("q/q", "a"): "1"}),
            lambda: self.put(b"one", Target("q")),
            lambda: self.put(b"two", Target("q"), Target("r", priority=5), Target("late", delay_ms=3_600_000)),
            lambda: self.storage.put([Put(b"three", [Target("q")]), Put(b"four", [Target("q")])], self.guards()),
            lambda: self.put(b"five", Target("limited", max_count=1)),
            lambda: self.put(b"six", Target("limited", max_count=1), Target("q")),
            lambda: self.put(b"seven", Target("limited", max_bytes=1, refuse=True), Target("r")),
            lambda: self.storage.put([Put(b"eight", [Target("q")])], [Guard("x/e", -1)], park="parked"),
            lambda: self.storage.put([Put(b"nine", [Target("q")])], (), ("publisher", 1)),
            lambda: self.take(("q", 3)),
            lambda: self.storage.settle([self.held[0].token], OWNER),
            lambda: self.storage.forward(self.held[1].token, OWNER, [Put(b"dead", [Target("dead")])], self.guards()),
            lambda: self.take(("r", 1), ("limited", 1), settle=2),
            lambda: self.storage.release([self.held[3].token], OWNER),
            lambda: self.storage.release([self.held[4].token], OWNER, 3_600_000, counted=False),
            lambda: self.put(b"mortal", Target("mortal", ttl_ms=0)),
            lambda: self.held.extend(self.storage.reserve_expired("mortal", 1, OWNER, LEASE_MS)),
            lambda: self.put(b"delayed", Target("soon", delay_ms=-1)),
            self.storage.sweep,
            lambda: self.take(("q", 10), ("soon", 1)),
            lambda: self.storage.settle([leased.token for leased in self.held[6:8]], OWNER),
            lambda: self.held.extend(self.storage.trim("parked", 0, None, OWNER, LEASE_MS)),
            lambda: self.storage.forget(OWNER, 1, force=True),
            lambda: self.storage.renew(OWNER, LEASE_MS),
            lambda: self.take(("q", 1)),
            lambda: self.storage.forget(OWNER, force=True),
            lambda: self.storage.purge("q"),
            lambda: self.storage.change({}, {("q/q", "a"): None, ("x/e", "b"): "2"}, ["limited", "late", "r"]),
        ]

    def open(self) -> None:
        """Make the file."""
        self.storage.open(10)

    def guards(self) -> list[Guard]:
        """Guard by the group as it is."""
        return [Guard("x/e", self.storage.revisions(["x/e"])[0])]

    def put(self, payload: bytes, *targets: Target) -> None:
        """Put one record under a guard."""
        self.storage.put([Put(payload, targets)], self.guards())

    def take(self, *wants: tuple[str, int], settle: int | None = None) -> None:
        """Take some records and settle one that is held."""
        tokens = [] if settle is None else [self.held[settle].token]
        self.held += self.storage.reserve(wants, OWNER, LEASE_MS, tokens)[0]
