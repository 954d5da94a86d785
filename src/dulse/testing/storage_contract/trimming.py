"""Cases: what is too much in a queue is taken from its head."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

from functools import partial

import pytest

from dulse.model.records import Leased
from dulse.testing.storage_contract.bench import LONG_MS, OTHER, OWNER, StorageBench, at_once, needs, tokens
from dulse.virtual.storage import Storage


class Trimming(StorageBench):
    """What `trim` promises."""

    def trim(
        self, storage: Storage, max_count: int | None = None, max_bytes: int | None = None, limit: int = 100
    ) -> list[Leased]:
        """Trim the queue "q" for a long time."""
        return list(storage.trim("q", max_count, max_bytes, OWNER, LONG_MS, limit))

    def test_nothing_is_taken_of_a_queue_within_its_limits(self, storage: Storage) -> None:
        self.put(storage, "q", b"12", b"34")

        assert self.trim(storage, 2, 4) == []

        assert storage.depth(["q"])[0] == (2, 0, 0, 4)

    def test_nothing_is_taken_of_a_queue_without_limits(self, storage: Storage) -> None:
        self.put(storage, "q", b"12", b"34")

        assert self.trim(storage) == []

        assert storage.depth(["q"])[0][:2] == (2, 0)

    def test_nothing_is_taken_of_a_queue_that_holds_nothing(self, storage: Storage) -> None:
        assert self.trim(storage, 0, 0) == []

    def test_the_oldest_go_until_the_count_is_right(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3", b"4")

        assert self.bodies(self.trim(storage, 1)) == [b"1", b"2", b"3"]

        assert self.drained(storage, "q") == [b"4"]

    def test_the_oldest_go_until_the_bytes_are_right(self, storage: Storage) -> None:
        self.put(storage, "q", b"123", b"4567", b"8", b"9")

        assert self.bodies(self.trim(storage, None, 5)) == [b"123", b"4567"]

        assert self.drained(storage, "q") == [b"8", b"9"]

    @pytest.mark.parametrize(("max_count", "max_bytes"), [(1, 100), (100, 2)])
    def test_both_limits_have_to_be_kept(self, storage: Storage, max_count: int, max_bytes: int) -> None:
        self.put(storage, "q", b"12", b"34", b"56")

        assert self.bodies(self.trim(storage, max_count, max_bytes)) == [b"12", b"34"]

    def test_records_without_bytes_go_while_they_come_before_others(self, storage: Storage) -> None:
        self.put(storage, "q", b"", b"1", b"")

        assert self.bodies(self.trim(storage, None, 0)) == [b"", b"1"]

    def test_a_limit_of_0_takes_all(self, storage: Storage) -> None:
        self.put(storage, "q", b"", b"1")

        assert self.bodies(self.trim(storage, 0)) == [b"", b"1"]

    def test_the_highest_priority_goes_first(self, storage: Storage) -> None:
        needs(storage.capabilities.priorities > 1, "priorities")
        self.put(storage, "q", b"low", priority=1)
        self.put(storage, "q", b"high", b"high too", priority=2)

        assert self.bodies(self.trim(storage, 1)) == [b"high", b"high too"]

        assert self.drained(storage, "q") == [b"low"]

    def test_leased_and_delayed_records_are_not_too_much(self, storage: Storage) -> None:
        self.put(storage, "q", b"12", b"34", b"56")
        self.take(storage, "q", 2, OTHER)
        self.put(storage, "q", b"78", delay_ms=LONG_MS)

        assert self.trim(storage, 1, 2) == []

    def test_no_more_than_asked_goes_at_once(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3", b"4", b"5")

        assert self.bodies(self.trim(storage, 1, 1, limit=3)) == [b"1", b"2", b"3"]
        assert self.bodies(self.trim(storage, 1, 1, limit=3)) == [b"4"]
        assert self.trim(storage, 1, 1, limit=3) == []

    def test_a_hundred_go_at_once_if_nothing_else_is_asked_for(self, storage: Storage) -> None:
        self.put(storage, "q", *(b"%d" % number for number in range(103)))

        assert len(storage.trim("q", 1, None, OWNER, LONG_MS)) == 100
        assert len(storage.trim("q", 1, None, OWNER, LONG_MS)) == 2

    def test_trim_is_no_delivery(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        storage.release(tokens(self.take(storage, "q", 1)), OWNER)

        taken = self.trim(storage, 0)
        storage.release(tokens(taken), OWNER)

        assert [record.deliveries for record in taken] == [1, 0]
        again = self.take(storage, "q")
        assert self.bodies(again) == [b"1", b"2"]
        assert [record.deliveries for record in again] == [2, 1]

    def test_trim_tells_of_each_record_what_reserve_does(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", ttl_ms=LONG_MS)
        self.put(storage, "q", b"2")
        self.clock_advance(self.tick)

        taken = self.trim(storage, 0)

        assert [(record.queue, record.ttl_ms) for record in taken] == [("q", LONG_MS), ("q", None)]
        assert all(self.tick * 900 <= record.age_ms < LONG_MS for record in taken)

    def test_what_was_too_much_is_its_owners_to_settle(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")

        taken = self.trim(storage, 1)

        assert storage.depth(["q"])[0] == (1, 1, 0, 1)
        assert list(storage.settle(tokens(taken), OTHER)) == tokens(taken)
        assert not storage.settle(tokens(taken), OWNER)
        assert storage.depth(["q"])[0] == (1, 0, 0, 1)

    def test_what_was_too_much_comes_back_if_its_owner_is_forgotten(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        self.trim(storage, 1)
        assert not neighbour.forget(OWNER)
        assert storage.depth(["q"])[0][:3] == (1, 1, 0)

        neighbour.forget(OWNER, force=True)

        assert self.drained(storage, "q", OTHER) == [b"1", b"2"]

    def test_an_owner_whose_queue_is_within_its_limits_is_not_registered(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")

        self.trim(storage, 1, 1)

        assert storage.change({}, {}, if_dead=OWNER)

    def test_a_queue_that_was_trimmed_takes_records_again(self, storage: Storage) -> None:
        self.put(storage, "q", b"12", b"34", max_count=1, max_bytes=2)
        self.trim(storage, 1, 2)

        assert sorted(self.put(storage, "q", b"56", max_count=1, max_bytes=2)) == [(0, "q", 1, 2)]

    @pytest.mark.parametrize(("max_count", "max_bytes"), [(20, None), (None, 40)])
    def test_callers_at_once_take_no_more_than_is_too_much(
        self, storage: Storage, max_count: int | None, max_bytes: int | None
    ) -> None:
        self.put(storage, "q", *(b"%02d" % number for number in range(60)))

        def cut(owner: str) -> list[bytes]:
            found: list[bytes] = []
            with self.opened() as mine:
                while taken := mine.trim("q", max_count, max_bytes, owner, LONG_MS, 7):
                    found += self.bodies(taken)
                    assert not mine.settle(tokens(taken), owner)
            return found

        found = at_once([partial(cut, f"owner {number}") for number in range(4)])

        assert sorted(body for part in found for body in part) == [b"%02d" % number for number in range(40)]
        assert self.drained(storage, "q") == [b"%02d" % number for number in range(40, 60)]
