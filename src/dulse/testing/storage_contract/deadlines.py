"""Cases: no call outlives the time it was given, also while somebody else holds the store."""

# ruff: noqa: D102, S101 - a case's name is its sentence

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from dulse import errors
from dulse.model.records import Put, Target
from dulse.testing.storage_contract.bench import LONG_MS, OWNER, PATIENCE, StorageBench, needs
from dulse.virtual.storage import Storage

LIMIT = 0.3
"""Seconds given to a call that cannot be carried out."""

SLACK = 4.0
"""Seconds by which it may be late on a busy machine; less than what it was opened with."""

Call = Callable[..., object]

CHANGING = [
    "put",
    "put many",
    "reserve",
    "reserve of many",
    "reserve_expired",
    "trim",
    "settle",
    "settle many",
    "release",
    "forward",
    "forward many",
    "forget",
    "sweep",
    "purge",
    "change",
]
LOOKING = ["renew", "held", "dead_owners", "depth", "peek", "read", "revisions", "groups"]


class Deadlines(StorageBench):
    """What the contract says about `until`."""

    def calls(self, storage: Storage) -> dict[str, Call]:
        """Prepare the store, and give one call of every kind that changes it then."""
        payload = self.make_payload(b"new")
        self.put(storage, "dying", b"d1", ttl_ms=1)
        self.put(storage, "late", b"l1", delay_ms=1)
        self.put(storage, "held", b"h1", b"h2", b"h3")
        self.put(storage, "q", b"1", b"2", b"3")
        held = [record.token for record in self.take(storage, "held")]
        self.put(storage, "purged", b"p1")
        self.clock_advance(self.tick)
        return {
            "put": partial(storage.put, [Put(payload, [Target("q")])]),
            "put many": partial(storage.put, [Put(payload, [Target("q"), Target("r")])] * 2),
            "reserve": partial(storage.reserve, [("q", 1)], OWNER, LONG_MS),
            "reserve of many": partial(storage.reserve, [("q", 1), ("r", 1)], OWNER, LONG_MS, held[:1]),
            "reserve_expired": partial(storage.reserve_expired, "dying", 1, OWNER, LONG_MS),
            "trim": partial(storage.trim, "q", 1, None, OWNER, LONG_MS),
            "settle": partial(storage.settle, held[:1], OWNER),
            "settle many": partial(storage.settle, held[1:], OWNER),
            "release": partial(storage.release, held, OWNER),
            "forward": partial(storage.forward, held[0], OWNER, [Put(payload, [Target("q")])]),
            "forward many": partial(
                storage.forward_many, [(token, [Put(payload, [Target("q")])]) for token in held], OWNER
            ),
            "renew": partial(storage.renew, OWNER, LONG_MS),
            "held": partial(storage.held, OWNER),
            "dead_owners": storage.dead_owners,
            "forget": partial(storage.forget, OWNER, force=True),
            "sweep": storage.sweep,
            "depth": partial(storage.depth, ["q"]),
            "peek": partial(storage.peek, "q", 1),
            "purge": partial(storage.purge, "purged"),
            "read": partial(storage.read, ["x/here"]),
            "revisions": partial(storage.revisions, ["x/here"]),
            "groups": partial(storage.groups, "x/"),
            "change": partial(storage.change, {"x/here": 0}, {("x/here", "a"): "1"}),
        }

    def state(self, storage: Storage) -> Any:
        """Describe what the store holds, as far as the calls change it."""
        queues = ["q", "r", "held", "dying", "late", "purged"]
        return list(storage.depth(queues)), storage.revisions(["x/here"]) == [0]

    def test_the_cases_about_deadlines_cover_every_call(self, storage: Storage) -> None:
        assert sorted(self.calls(storage)) == sorted(CHANGING + LOOKING)

    @pytest.mark.parametrize("name", CHANGING + LOOKING)
    def test_a_call_in_time_does_the_same_as_one_without_a_limit(self, storage: Storage, name: str) -> None:
        call = self.calls(storage)[name]
        before = self.state(storage)

        answer = call(until=time.monotonic() + PATIENCE)

        assert (self.state(storage) != before) == (name in CHANGING), answer

    @pytest.mark.parametrize("name", CHANGING + LOOKING)
    def test_a_call_ends_in_time_while_somebody_else_holds_the_store(self, storage: Storage, name: str) -> None:
        holding = self.held_up()
        needs(holding is not None, "that anybody can hold it")
        assert holding is not None
        call = self.calls(storage)[name]
        before = self.state(storage)
        refused = False
        with holding:
            began = time.monotonic()
            try:
                call(until=began + LIMIT)
            except errors.StorageBusy:
                refused = True
            assert time.monotonic() - began < LIMIT + SLACK
        if refused:
            assert self.state(storage) == before
            call()
            assert (self.state(storage) != before) == (name in CHANGING)

    @pytest.mark.parametrize("name", CHANGING + LOOKING)
    def test_a_call_of_a_closed_store_says_that_it_is_closed(self, name: str) -> None:
        with self.opened() as closing:
            call = self.calls(closing)[name]

        with pytest.raises(errors.ConnectionClosed, match="closed"):
            call()
