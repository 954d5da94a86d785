"""Cases: odd names, odd bodies, many records, and many threads at once."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from dulse.model.records import Guard, Put, Target
from dulse.testing.storage_contract.bench import (
    LONG_MS,
    OWNER,
    StorageBench,
    at_once,
    needs,
    revision,
    tokens,
    write,
)
from dulse.virtual.storage import StaleTopology, Storage

NAMES = [
    "",
    " ",
    "it's",
    'a "quoted" name',
    "semi;colon -- comment",
    "back\\slash/and/slash",
    "NUL\0inside",
    "line\nbreak\ttab\r",
    "percent % under_score * star ? [set]",
    "{brace} $dollar :colon @at",
    "été Ελλάδα 日本語",
    "emoji 🐙🦭",
    "\u202eright to left",
    "x" * 255,
    "é" * 127,
]


class Oddities(StorageBench):
    """Names and bodies of every kind."""

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_a_queue_may_have_any_name(self, storage: Storage, name: str) -> None:
        self.put(storage, name, b"1", b"2")
        self.put(storage, f"{name}x", b"of another")

        leased, _ = storage.reserve([(name, 1)], OWNER, LONG_MS)

        assert [(record.queue, self.body_of(record.payload)) for record in leased] == [(name, b"1")]
        assert storage.depth([name])[0][:3] == (1, 1, 0)
        assert storage.change({}, {}, [name])
        assert [depth.ready for depth in storage.depth([name, f"{name}x"])] == [0, 1]

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_a_group_a_value_and_an_owner_may_have_any_name(self, storage: Storage, name: str) -> None:
        assert storage.change({f"q/{name}": 0}, {(f"q/{name}", name): name})
        self.put(storage, "q", b"1")
        held = tokens(self.take(storage, "q", owner=f"o/{name}"))

        assert dict(storage.read([f"q/{name}"])[f"q/{name}"].values) == {name: name}
        assert list(storage.groups("q/")) == [f"q/{name}"]
        assert not storage.settle(held, f"o/{name}")

    def test_names_that_differ_in_case_or_form_are_different(self, storage: Storage) -> None:
        names = ["name", "Name", "NAME", "name ", "\u00e9", "e\u0301"]
        for name in names:
            self.put(storage, name, name.encode())
            write(storage, name, value=name)

        assert [self.drained(storage, name) for name in names] == [[name.encode()] for name in names]
        assert sorted(storage.groups("")) == sorted(names)

    @pytest.mark.parametrize("body", [b"", b"\0", bytes(range(256)), b"\xff\xfe\xfd", b"'); drop"], ids=ascii)
    def test_a_body_may_hold_any_bytes(self, storage: Storage, body: bytes) -> None:
        self.put(storage, "q", body)

        assert self.drained(storage, "q") == [body]

    def test_a_body_may_be_large(self, storage: Storage) -> None:
        body = bytes(range(256)) * 20_000
        limit = storage.capabilities.max_record
        needs(limit is None or limit > len(body), "records of 5 MB")
        self.put(storage, "q", body, b"small")

        assert storage.depth(["q"])[0].size == len(body) + 5
        assert self.drained(storage, "q") == [body, b"small"]

    def test_a_value_may_be_large(self, storage: Storage) -> None:
        text = "é" * 500_000
        write(storage, "x/here", large=text)

        assert storage.read(["x/here"])["x/here"].values["large"] == text

    def test_a_thousand_records_go_in_and_out_in_one_step(self, storage: Storage) -> None:
        expected = [b"%d" % number for number in range(1000)]
        self.put(storage, "q", *expected)

        taken = self.take(storage, "q", 1000)

        assert self.bodies(taken) == expected
        assert not storage.settle(tokens(taken), OWNER)
        assert storage.depth(["q"])[0] == (0, 0, 0, 0)

    def test_a_put_reaches_hundreds_of_queues_in_one_step(self, storage: Storage) -> None:
        queues = [f"queue {number}" for number in range(300)]
        self.decided(storage, [Put(self.make_payload(b"1"), [Target(queue) for queue in queues])])

        leased, _ = storage.reserve([(queue, 5) for queue in queues], OWNER, LONG_MS)

        assert sorted(record.queue for record in leased) == sorted(queues)


class Hammering(StorageBench):
    """Many threads at once, each with a Storage object of its own: nothing is lost and nothing comes twice."""

    def produce(self, name: str, count: int) -> list[bytes]:
        """Put `count` records of different bodies, one by one."""
        with self.opened() as mine:
            for number in range(count):
                self.put(mine, "q", f"{name} {number}".encode())
        return []

    def consume(self, name: str, handle: Callable[[Storage, str], list[bytes]]) -> list[bytes]:
        """Call `handle` until it has found nothing many times in a row; gives all that it gave."""
        found: list[bytes] = []
        with self.opened() as mine:
            idle = 0
            while idle < 30:
                got = handle(mine, name)
                found += got
                idle = 0 if got else idle + 1
                if not got:
                    mine.wait(["q"], 0)
        return found

    def run(self, handle: Callable[[Storage, str], list[bytes]]) -> list[bytes]:
        """Run producers and consumers at once; gives all that was handled, with the rest."""
        works = [partial(self.produce, f"producer {number}", 60) for number in range(3)]
        works += [partial(self.consume, f"consumer {number}", handle) for number in range(3)]
        found = [body for part in at_once(works) for body in part]
        with self.opened() as storage:
            while rest := handle(storage, "last"):
                found += rest
        return found

    def check(self, found: list[bytes]) -> None:
        """Check that every record produced was handled exactly once."""
        expected = [f"producer {number} {step}".encode() for number in range(3) for step in range(60)]
        assert Counter(found) == Counter(expected)

    def test_competing_takes_and_settles(self) -> None:
        def handle(storage: Storage, owner: str) -> list[bytes]:
            taken = self.take(storage, "q", 7, owner)
            assert not storage.settle(tokens(taken), owner)
            return self.bodies(taken)

        self.check(self.run(handle))

    def test_competing_takes_that_settle_with_the_next_take(self) -> None:
        held: dict[str, list[object]] = {}

        def handle(storage: Storage, owner: str) -> list[bytes]:
            leased, lost = storage.reserve([("q", 5)], owner, LONG_MS, held.pop(owner, []))
            assert not lost
            held[owner] = tokens(leased)
            return self.bodies(leased)

        self.check(self.run(handle))

    def test_competing_releases(self) -> None:
        def handle(storage: Storage, owner: str) -> list[bytes]:
            taken = self.take(storage, "q", 6, owner)
            again = [record for record in taken if record.deliveries == 1]
            done = [record for record in taken if record.deliveries > 1]
            assert not storage.release(tokens(again), owner)
            assert not storage.settle(tokens(done), owner)
            return self.bodies(done) or [b""] * len(again)

        self.check([body for body in self.run(handle) if body])

    def test_competing_forwards(self) -> None:
        def handle(storage: Storage, owner: str) -> list[bytes]:
            taken = self.take(storage, "q", 4, owner)
            for record in taken:
                assert storage.forward(record.token, owner, [Put(record.payload, [Target("dead")])])
            moved = self.take(storage, "dead", 3, owner)
            assert not storage.settle(tokens(moved), owner)
            return self.bodies(moved) or [b""] * len(taken)

        self.check([body for body in self.run(handle) if body])

    def test_competing_owners_that_are_forgotten(self) -> None:
        def handle(storage: Storage, owner: str) -> list[bytes]:
            taken = self.take(storage, "q", 6, owner)
            lost = storage.settle(tokens(taken[::2]), owner)
            assert not lost
            while storage.forget(owner, 2, force=True):
                pass
            return self.bodies(taken[::2])

        self.check(self.run(handle))

    def test_no_record_enters_a_queue_under_an_outdated_guard(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(storage, "x/way", to="0")

        def publish() -> int:
            with self.opened() as mine:
                stored = 0
                for _ in range(40):
                    group = mine.read(["x/way"])["x/way"]
                    target = Target(f"queue {group.values['to']}")
                    try:
                        self.decided(mine, [Put(self.make_payload(b"1"), [target])], [Guard("x/way", group.revision)])
                        stored += 1
                    except StaleTopology:
                        continue
                return stored

        def redirect() -> int:
            with self.opened() as mine:
                found = 0
                for step in range(20):
                    mine.change({"x/way": revision(mine, "x/way")}, {("x/way", "to"): str(step + 1)})
                    found += mine.purge(f"queue {step}")
                return found

        first, second, purged = at_once([publish, publish, redirect])

        left = [depth.ready for depth in storage.depth([f"queue {step}" for step in range(21)])]
        assert left[:20] == [0] * 20
        assert left[20] + purged == first + second
