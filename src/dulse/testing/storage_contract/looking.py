"""Cases: depth, peek and purge."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

from dulse.testing.storage_contract.bench import LONG_MS, OWNER, StorageBench, needs, tokens
from dulse.virtual.storage import Storage


class Looking(StorageBench):
    """What `depth`, `peek` and `purge` promise."""

    def test_depth_counts_ready_leased_and_delayed_records_and_ready_bytes(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"22", b"333", priority=1)
        self.put(storage, "q", b"4444", priority=2)
        self.put(storage, "q", b"55555", delay_ms=LONG_MS)
        self.take(storage, "q", 2)

        assert list(storage.depth(["q"])) == [(2, 2, 1, 5)]

    def test_depth_answers_in_the_order_asked_for(self, storage: Storage) -> None:
        self.put(storage, "a", b"1")
        self.put(storage, "b", b"1", b"2")

        assert [depth.ready for depth in storage.depth(["b", "none", "a", "b"])] == [2, 0, 1, 2]
        assert list(storage.depth([])) == []

    def test_depth_follows_every_change(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3")
        one, two, three = tokens(self.take(storage, "q"))
        storage.settle([one], OWNER)
        storage.release([two], OWNER)
        storage.release([three], OWNER, LONG_MS)

        assert list(storage.depth(["q"])) == [(1, 0, 1, 1)]

    def test_depth_of_many_records_is_right_whenever_it_is_asked(self, storage: Storage) -> None:
        for _ in range(2):
            self.put(storage, "q", *[b"12"] * 1000)
        assert storage.depth(["q"])[0] == (2000, 0, 0, 4000)
        held = tokens(self.take(storage, "q", 500))
        assert storage.depth(["q"])[0] == (1500, 500, 0, 3000)
        storage.release(held[:100], OWNER)
        self.put(storage, "q", b"345")

        assert storage.depth(["q"])[0] == (1601, 400, 0, 3203)

    def test_peek_shows_what_reserve_would_give(self, storage: Storage) -> None:
        needs(storage.capabilities.peek, "peek")
        self.put(storage, "q", b"low", priority=1)
        self.put(storage, "q", b"high", b"higher than nothing", priority=2, ttl_ms=LONG_MS)

        seen = storage.peek("q", 10)

        assert self.bodies(seen) == [b"high", b"higher than nothing", b"low"]
        assert [record.ttl_ms for record in seen] == [LONG_MS, LONG_MS, None]
        assert self.bodies(self.take(storage, "q")) == self.bodies(seen)

    def test_peek_shows_no_more_than_asked_and_changes_nothing(self, storage: Storage) -> None:
        needs(storage.capabilities.peek, "peek")
        self.put(storage, "q", b"1", b"2", b"3")

        assert [self.bodies(storage.peek("q", 2)) for _ in range(3)] == [[b"1", b"2"]] * 3
        assert list(storage.peek("none", 2)) == []
        assert [record.deliveries for record in self.take(storage, "q")] == [1, 1, 1]

    def test_peek_tells_how_often_a_record_was_delivered(self, storage: Storage) -> None:
        needs(storage.capabilities.peek, "peek")
        self.put(storage, "q", b"1", b"2")
        storage.release(tokens(self.take(storage, "q", 1)), OWNER)

        assert [record.deliveries for record in storage.peek("q", 2)] == [1, 0]

    def test_purge_deletes_the_ready_records_and_gives_their_number(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3", priority=1)
        self.put(storage, "q", b"4", priority=2)
        self.put(storage, "kept", b"5")
        held = tokens(self.take(storage, "q", 1))

        assert storage.purge("q") == 3

        assert storage.depth(["q"])[0][:3] == (0, 1, 0)
        assert not storage.settle(held, OWNER)
        assert self.drained(storage, "kept") == [b"5"]

    def test_purge_leaves_delayed_records(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", delay_ms=1)

        assert storage.purge("q") == 0

        self.clock_advance(self.tick)
        storage.sweep()
        assert self.drained(storage, "q") == [b"1"]

    def test_purging_what_is_empty_or_unknown_deletes_nothing(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        self.drained(storage, "q")

        assert (storage.purge("q"), storage.purge("none")) == (0, 0)
