"""Cases: owners alive and dead, and their records given back."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

from collections.abc import Callable

import pytest

from dulse.testing.storage_contract.bench import LONG_MS, OTHER, OWNER, PATIENCE, StorageBench, needs, revision, tokens
from dulse.virtual.storage import Storage


class Owning(StorageBench):
    """What holds for owners in any store."""

    def test_an_owner_forgotten_by_force_gives_all_back_to_the_old_places(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3")
        self.put(storage, "r", b"4")
        self.take(storage, "q", 2)
        self.take(storage, "r")

        assert not storage.forget(OWNER, force=True)

        again = self.take(storage, "q", owner=OTHER)
        assert self.bodies(again) == [b"1", b"2", b"3"]
        assert [record.deliveries for record in again] == [2, 2, 1]
        assert self.drained(storage, "r") == [b"4"]

    def test_what_is_given_back_has_the_size_it_was_put_with(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"22", b"333")
        held = tokens(self.take(storage, "q"))
        storage.release(held[:1], OWNER)

        storage.forget(OWNER, force=True)

        assert storage.depth(["q"])[0].size == len(b"122333")

    def test_forget_gives_back_a_bounded_number_and_says_whether_to_call_again(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3", b"4", b"5")
        self.take(storage, "q")

        assert storage.forget(OWNER, 2, force=True)
        assert storage.depth(["q"])[0][:3] == (2, 3, 0)
        assert storage.forget(OWNER, 2, force=True)
        while storage.forget(OWNER, 2, force=True):
            pass
        assert self.drained(storage, "q") == [b"1", b"2", b"3", b"4", b"5"]

    def test_forgetting_again_changes_nothing(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        self.take(storage, "q")

        assert [storage.forget(OWNER, force=True) for _ in range(3)] == [False, False, False]
        assert not storage.forget("never seen", force=True)
        assert not storage.forget("never seen")

        assert [record.deliveries for record in self.take(storage, "q")] == [2]

    def test_forget_leaves_an_owner_alone_that_is_alive(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        held = tokens(self.take(storage, "q"))

        assert not neighbour.forget(OWNER)

        assert self.take(neighbour, "q", owner=OTHER) == []
        assert not storage.settle(held, OWNER)

    def test_what_was_given_back_can_no_longer_be_settled(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        held = tokens(self.take(storage, "q"))
        storage.forget(OWNER, force=True)

        assert list(storage.settle(held, OWNER)) == held
        assert not storage.forward(held[0], OWNER, [])

        assert self.drained(storage, "q") == [b"1"]

    def test_forget_leaves_the_records_of_other_owners_alone(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        self.take(storage, "q", 1)
        held = tokens(self.take(neighbour, "q", 1, OTHER))

        storage.forget(OWNER, force=True)

        assert not neighbour.settle(held, OTHER)
        assert self.drained(storage, "q") == [b"1"]

    def test_an_owner_goes_on_after_it_was_forgotten(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        self.take(storage, "q")
        storage.forget(OWNER, force=True)

        assert self.drained(storage, "q") == [b"1"]

    def test_a_living_owner_is_known_and_not_among_the_dead(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        self.take(storage, "q")

        assert storage.renew(OWNER, LONG_MS)
        assert OWNER not in neighbour.dead_owners()[0]

    def test_an_owner_is_told_what_it_holds(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3")
        self.put(storage, "r", b"4")
        mine = self.take(storage, "q", 2) + self.take(storage, "r")
        self.take(neighbour, "q", owner=OTHER)

        assert sorted(storage.held(OWNER)) == sorted(tokens(mine))

        storage.settle(tokens(mine[:1]), OWNER)
        storage.release(tokens(mine[1:2]), OWNER)
        assert list(storage.held(OWNER)) == tokens(mine[2:])

    def test_an_owner_that_holds_nothing_or_is_unknown_is_told_so(self, storage: Storage) -> None:
        storage.renew(OWNER, LONG_MS)

        assert list(storage.held(OWNER)) == list(storage.held("never seen")) == []

    # -------------------------------------------------------------------------- changes for the dead alone

    def test_a_change_for_a_dead_owner_is_not_made_while_it_lives(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        self.put(storage, "r", b"2")
        self.take(storage, "q")

        assert not neighbour.change({}, {("x/here", "a"): "1"}, ["r"], if_dead=OWNER)

        assert revision(storage, "x/here") == 0
        assert self.drained(storage, "r") == [b"2"]

    def test_an_owner_that_only_renewed_is_alive_too(self, storage: Storage, neighbour: Storage) -> None:
        storage.renew(OWNER, LONG_MS)

        assert not neighbour.change({}, {("x/here", "a"): "1"}, if_dead=OWNER)

    @pytest.mark.parametrize("step", ["reserve", "reserve of none", "reserve_expired", "trim", "trim of none"])
    def test_an_owner_that_took_nothing_is_not_registered(self, storage: Storage, step: str) -> None:
        self.put(storage, "lasting", b"1", ttl_ms=LONG_MS)
        takes: dict[str, Callable[[], object]] = {
            "reserve": lambda: storage.reserve([("q", 1), ("r", 1)], OWNER, LONG_MS),
            "reserve of none": lambda: storage.reserve([("lasting", 0)], OWNER, LONG_MS),
            "reserve_expired": lambda: storage.reserve_expired("lasting", 1, OWNER, LONG_MS),
            "trim": lambda: storage.trim("lasting", 1, None, OWNER, LONG_MS),
            "trim of none": lambda: storage.trim("lasting", 0, None, OWNER, LONG_MS, 0),
        }

        takes[step]()

        assert storage.change({}, {}, if_dead=OWNER)

    def test_an_owner_of_which_a_part_was_forgotten_by_force_counts_as_dead(
        self, storage: Storage, neighbour: Storage
    ) -> None:
        self.put(storage, "q", b"1", b"2")
        self.take(storage, "q")

        assert neighbour.forget(OWNER, 1, force=True)

        assert OWNER in neighbour.dead_owners()[0]
        assert neighbour.change({}, {}, if_dead=OWNER)
        while neighbour.forget(OWNER):
            pass
        assert OWNER not in neighbour.dead_owners()[0]
        assert self.drained(neighbour, "q", OTHER) == [b"1", b"2"]

    def test_an_owner_that_the_store_does_not_know_counts_as_dead(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        self.put(storage, "r", b"2")
        self.take(storage, "r", owner=OTHER)

        assert storage.change({}, {("x/here", "a"): "1"}, ["q"], if_dead="never seen")

        assert revision(storage, "x/here") != 0
        assert storage.depth(["q", "r"]) == [(0, 0, 0, 0), (0, 1, 0, 0)]

    def test_an_owner_that_was_forgotten_counts_as_dead(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        self.take(storage, "q")
        storage.forget(OWNER, force=True)

        assert storage.change({}, {("x/here", "a"): "1"}, if_dead=OWNER)

    def test_a_change_for_a_dead_owner_still_expects_its_revisions(self, storage: Storage) -> None:
        assert not storage.change({"x/here": 7}, {("x/here", "a"): "1"}, if_dead="never seen")

        assert revision(storage, "x/here") == 0

    def test_where_leases_end_with_the_object_its_owner_is_dead_once_it_is_closed(self, storage: Storage) -> None:
        needs(storage.capabilities.leases == "process", "leases that end with the Storage object")
        self.put(storage, "q", b"1")
        with self.opened() as leaving:
            self.take(leaving, "q", owner=OTHER)
            assert not storage.change({}, {("x/here", "a"): "1"}, if_dead=OTHER)

        assert OTHER in storage.dead_owners()[0]
        assert storage.change({}, {("x/here", "a"): "1"}, if_dead=OTHER)

    # -------------------------------------------------------------------------------------------- closing

    def test_leases_stay_when_a_storage_object_is_closed(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        with self.opened() as leaving:
            self.take(leaving, "q", owner=OTHER)

        assert storage.depth(["q"])[0][:3] == (0, 1, 0)
        storage.forget(OTHER, force=True)
        assert self.drained(storage, "q") == [b"1"]

    def test_a_closed_store_opens_again(self, storage: Storage) -> None:
        again = self.make_storage()
        self.put(again, "q", b"1")
        again.close(PATIENCE)
        again.open(PATIENCE)

        assert self.drained(again, "q") == [b"1"]

        again.close(PATIENCE)


class OwningForATime(StorageBench):
    """What holds where a lease ends by itself (`leases` is "owner" or "record")."""

    def dying(self, storage: Storage, queue: str, owner: str = OWNER) -> list[object]:
        """Take all of a queue for one tick; gives the tokens."""
        needs(storage.capabilities.leases != "process", "leases that end by themselves")
        leased, _ = storage.reserve([(queue, 1000)], owner, int(self.tick * 1000))
        return tokens(leased)

    def test_an_owner_past_its_time_is_among_the_dead(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        self.dying(storage, "q")
        self.clock_advance(self.tick * 2)

        assert OWNER in neighbour.dead_owners()[0]

    def test_the_records_of_a_dead_owner_come_back(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        held = self.dying(storage, "q")
        self.clock_advance(self.tick * 2)

        assert not neighbour.forget(OWNER)

        assert self.bodies(self.take(neighbour, "q", owner=OTHER)) == [b"1", b"2"]
        assert list(storage.settle(held, OWNER)) == held
        assert OWNER not in neighbour.dead_owners()[0]

    def test_a_renewed_owner_keeps_all_it_holds(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        held = self.dying(storage, "q")
        assert storage.renew(OWNER, LONG_MS)
        self.clock_advance(self.tick * 2)

        assert OWNER not in neighbour.dead_owners()[0]
        assert not neighbour.forget(OWNER)
        assert not storage.settle(held, OWNER)

    def test_taking_renews_an_owner(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        held = self.dying(storage, "q")
        self.put(storage, "r", b"2")
        self.take(storage, "r")
        self.clock_advance(self.tick * 2)

        neighbour.forget(OWNER)

        assert not storage.settle(held, OWNER)

    def test_an_owner_that_wakes_up_before_it_is_forgotten_keeps_all(
        self, storage: Storage, neighbour: Storage
    ) -> None:
        self.put(storage, "q", b"1")
        held = self.dying(storage, "q")
        self.clock_advance(self.tick * 2)
        assert OWNER in neighbour.dead_owners()[0]
        storage.renew(OWNER, LONG_MS)

        neighbour.forget(OWNER)

        assert not storage.settle(held, OWNER)

    def test_an_owner_that_wakes_up_too_late_is_told_so_and_begins_anew(
        self, storage: Storage, neighbour: Storage
    ) -> None:
        self.put(storage, "q", b"1")
        self.dying(storage, "q")
        self.clock_advance(self.tick * 2)
        neighbour.forget(OWNER)

        assert [storage.renew(OWNER, LONG_MS) for _ in range(2)] == [False, True]

    @pytest.mark.parametrize("step", ["reserve", "reserve_expired", "trim"])
    def test_an_owner_that_takes_again_too_late_is_told_so_when_it_renews(
        self, storage: Storage, neighbour: Storage, step: str
    ) -> None:
        takes: dict[str, Callable[[], object]] = {
            "reserve": lambda: storage.reserve([("r", 1)], OWNER, LONG_MS),
            "reserve_expired": lambda: storage.reserve_expired("r", 1, OWNER, LONG_MS),
            "trim": lambda: storage.trim("r", 0, None, OWNER, LONG_MS),
        }
        self.put(storage, "q", b"1")
        self.put(storage, "r", b"2", ttl_ms=1)
        self.dying(storage, "q")
        self.clock_advance(self.tick * 2)
        neighbour.forget(OWNER)

        takes[step]()

        assert storage.depth(["r"])[0][:3] == (0, 1, 0)
        assert [storage.renew(OWNER, LONG_MS) for _ in range(2)] == [False, True]

    @pytest.mark.parametrize("step", ["reserve_expired", "trim"])
    def test_an_owner_registered_by_any_take_is_told_that_it_was_declared_dead(
        self, storage: Storage, neighbour: Storage, step: str
    ) -> None:
        needs(storage.capabilities.leases != "process", "leases that end by themselves")
        short_ms = int(self.tick * 1000)
        takes: dict[str, Callable[[], object]] = {
            "reserve_expired": lambda: storage.reserve_expired("q", 1, OWNER, short_ms),
            "trim": lambda: storage.trim("q", 0, None, OWNER, short_ms, 1),
        }
        self.put(storage, "q", b"1", b"2", ttl_ms=1)
        self.clock_advance(self.tick)
        takes[step]()
        self.clock_advance(self.tick * 2)
        assert OWNER in neighbour.dead_owners()[0]
        neighbour.forget(OWNER)

        self.take(storage, "q", 1)

        assert [storage.renew(OWNER, LONG_MS) for _ in range(2)] == [False, True]

    def test_a_change_for_a_dead_owner_is_made_once_it_is_past_its_time(
        self, storage: Storage, neighbour: Storage
    ) -> None:
        self.put(storage, "q", b"1")
        self.put(storage, "r", b"2")
        self.dying(storage, "q")
        self.clock_advance(self.tick * 2)

        assert neighbour.change({}, {("x/here", "a"): "1"}, ["r"], if_dead=OWNER)

        assert revision(storage, "x/here") != 0
        assert self.drained(storage, "r", OTHER) == []

    def test_a_change_for_a_dead_owner_is_not_made_if_it_has_woken_up(
        self, storage: Storage, neighbour: Storage
    ) -> None:
        self.put(storage, "q", b"1")
        self.dying(storage, "q")
        self.clock_advance(self.tick * 2)
        assert OWNER in neighbour.dead_owners()[0]
        storage.renew(OWNER, LONG_MS)

        assert not neighbour.change({}, {("x/here", "a"): "1"}, if_dead=OWNER)

        assert revision(storage, "x/here") == 0

    def test_the_time_until_the_next_owner_falls_due_is_told(self, storage: Storage) -> None:
        needs(storage.capabilities.leases != "process", "leases that end by themselves")
        assert storage.dead_owners()[1] is None
        self.put(storage, "q", b"1", b"2")
        storage.reserve([("q", 1)], OWNER, 60_000)
        storage.reserve([("q", 1)], OTHER, 90_000)

        dead, seconds = storage.dead_owners()

        assert list(dead) == []
        assert seconds is not None
        assert 50 < seconds <= 60
