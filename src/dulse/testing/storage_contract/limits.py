"""Cases: queues at a limit, which refuse or tell by how much they are over."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

from dulse.model.records import Put, Target
from dulse.testing.storage_contract.bench import OWNER, StorageBench, tokens
from dulse.virtual.storage import Storage


class Limits(StorageBench):
    """What `put` promises for targets with limits."""

    def test_below_its_limits_a_queue_takes_records_without_a_word(self, storage: Storage) -> None:
        assert not self.put(storage, "q", b"12", b"34", max_count=2, max_bytes=4)
        assert not self.put(storage, "r", b"12", b"34", max_count=2, max_bytes=4, refuse=True)

    def test_a_queue_that_refuses_at_its_count_stores_nothing(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")

        assert sorted(self.put(storage, "q", b"3", max_count=2, refuse=True)) == [(0, "q", -1, 0)]

        assert self.drained(storage, "q") == [b"1", b"2"]

    def test_a_queue_that_refuses_at_its_bytes_stores_nothing(self, storage: Storage) -> None:
        self.put(storage, "q", b"12345")

        assert sorted(self.put(storage, "q", b"678", max_bytes=7, refuse=True)) == [(0, "q", -1, 0)]

        assert self.drained(storage, "q") == [b"12345"]

    def test_what_one_queue_refuses_the_others_of_the_put_still_get(self, storage: Storage) -> None:
        targets = [Target("full", max_count=0, refuse=True), Target("q")]

        problems = self.decided(storage, [Put(self.make_payload(b"one"), targets)])

        assert sorted(problems) == [(0, "full", -1, 0)]
        assert self.drained(storage, "q") == [b"one"]
        assert self.drained(storage, "full") == []

    def test_the_puts_of_one_call_count_one_after_the_other(self, storage: Storage) -> None:
        problems = self.put(storage, "q", b"1", b"2", b"3", b"4", max_count=2, refuse=True)

        assert sorted(problems) == [(2, "q", -1, 0), (3, "q", -1, 0)]
        assert self.drained(storage, "q") == [b"1", b"2"]

    def test_the_puts_of_one_call_add_up_their_bytes(self, storage: Storage) -> None:
        problems = self.put(storage, "q", b"123", b"4567", b"89", max_bytes=6, refuse=True)

        assert sorted(problems) == [(1, "q", -1, 0)]
        assert self.drained(storage, "q") == [b"123", b"89"]

    def test_a_queue_over_its_count_stores_and_tells_the_excess(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")

        assert sorted(self.put(storage, "q", b"3", max_count=1)) == [(0, "q", 2, 0)]

        assert self.drained(storage, "q") == [b"1", b"2", b"3"]

    def test_a_queue_over_its_bytes_stores_and_tells_the_excess(self, storage: Storage) -> None:
        self.put(storage, "q", b"12345")

        assert sorted(self.put(storage, "q", b"678", max_bytes=6)) == [(0, "q", 0, 2)]

        assert self.drained(storage, "q") == [b"12345", b"678"]

    def test_both_excesses_are_told_together(self, storage: Storage) -> None:
        assert sorted(self.put(storage, "q", b"12345", max_count=0, max_bytes=2)) == [(0, "q", 1, 3)]

    def test_the_excess_of_a_queue_is_told_once_a_call_as_it_is_at_the_end(self, storage: Storage) -> None:
        problems = self.put(storage, "q", b"1", b"2", b"3", b"4", max_count=1)

        assert [(problem.queue, problem.excess_count) for problem in problems] == [("q", 3)]

    def test_leased_records_do_not_count_towards_a_limit(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        self.take(storage, "q", 2)

        assert not self.put(storage, "q", b"34", max_count=1, max_bytes=2, refuse=True)

    def test_released_records_count_again(self, storage: Storage) -> None:
        self.put(storage, "q", b"12", max_bytes=10)
        storage.release(tokens(self.take(storage, "q")), OWNER)

        assert sorted(self.put(storage, "q", b"34", max_bytes=3)) == [(0, "q", 0, 1)]

    def test_bytes_are_right_after_takes_purges_and_drops(self, storage: Storage) -> None:
        self.put(storage, "q", b"1234", b"56", b"7", max_bytes=100)
        self.take(storage, "q", 1)
        assert storage.depth(["q"])[0].size == 3
        storage.purge("q")
        assert sorted(self.put(storage, "q", b"89", max_bytes=1)) == [(0, "q", 0, 1)]
        storage.change({}, {}, ["q"])

        assert sorted(self.put(storage, "q", b"012", max_bytes=1)) == [(0, "q", 0, 2)]

    def test_a_limit_spans_all_priorities(self, storage: Storage) -> None:
        self.put(storage, "q", b"low", priority=1)

        assert sorted(self.put(storage, "q", b"high", priority=5, max_count=1, refuse=True)) == [(0, "q", -1, 0)]
        assert sorted(self.put(storage, "q", b"high", priority=5, max_count=1)) == [(0, "q", 1, 0)]
