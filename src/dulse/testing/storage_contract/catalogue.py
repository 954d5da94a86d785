"""Cases: groups and their revisions, compare-and-set, and queues dropped with it."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

from functools import partial

import pytest

from dulse.testing.storage_contract.bench import OWNER, StorageBench, at_once, revision, tokens, write
from dulse.virtual.storage import Storage


class Catalogue(StorageBench):
    """What `read`, `revisions`, `groups` and `change` promise."""

    def values(self, storage: Storage, group: str) -> dict[str, str]:
        """Read the values of one group."""
        return dict(storage.read([group])[group].values)

    def test_a_group_that_does_not_exist_has_revision_0_and_no_values(self, storage: Storage) -> None:
        group = storage.read(["x/none"])["x/none"]

        assert (group.revision, dict(group.values)) == (0, {})
        assert list(storage.revisions(["x/none"])) == [0]

    def test_what_was_written_is_read(self, storage: Storage, neighbour: Storage) -> None:
        write(storage, "x/here", a="1", b="2")

        assert self.values(neighbour, "x/here") == {"a": "1", "b": "2"}

    def test_many_groups_are_read_at_once(self, storage: Storage) -> None:
        write(storage, "x/a", name="1")
        write(storage, "x/b", name="2")

        found = storage.read(["x/b", "x/none", "x/a"])

        assert {name: dict(group.values) for name, group in found.items()} == {
            "x/a": {"name": "1"},
            "x/b": {"name": "2"},
            "x/none": {},
        }

    def test_of_a_group_some_fields_alone_can_be_read(self, storage: Storage) -> None:
        here = write(storage, "x/here", a="1", b="2", c="3")
        there = write(storage, "x/there", a="4")

        found = storage.read(["x/there"], {"x/here": frozenset({"a", "c", "none"}), "x/none": frozenset({"a"})})

        assert {name: (group.revision, dict(group.values)) for name, group in found.items()} == {
            "x/there": (there, {"a": "4"}),
            "x/here": (here, {"a": "1", "c": "3"}),
            "x/none": (0, {}),
        }

    def test_fields_that_were_read_do_not_change_afterwards(self, storage: Storage) -> None:
        write(storage, "x/here", a="1", b="2")
        before = storage.read([], {"x/here": frozenset({"a"})})

        write(storage, "x/here", a="3")

        assert dict(before["x/here"].values) == {"a": "1"}

    def test_what_was_read_does_not_change_afterwards(self, storage: Storage) -> None:
        write(storage, "x/here", a="1")
        before = storage.read(["x/here"])

        write(storage, "x/here", a="2")

        assert dict(before["x/here"].values) == {"a": "1"}

    def test_values_that_are_not_written_stay(self, storage: Storage) -> None:
        write(storage, "x/here", a="1", b="2")

        write(storage, "x/here", b="3")

        assert self.values(storage, "x/here") == {"a": "1", "b": "3"}

    def test_none_deletes_a_value(self, storage: Storage) -> None:
        write(storage, "x/here", a="1", b="2")

        assert storage.change({}, {("x/here", "a"): None, ("x/here", "never"): None})

        assert self.values(storage, "x/here") == {"b": "2"}

    def test_a_group_without_values_ceases_to_exist(self, storage: Storage) -> None:
        write(storage, "x/here", a="1")

        storage.change({}, {("x/here", "a"): None})

        assert revision(storage, "x/here") == 0
        assert dict(storage.groups("x/")) == {}

    def test_each_group_written_gets_a_new_revision(self, storage: Storage) -> None:
        revisions = [write(storage, "x/here", a="same") for _ in range(3)]

        assert len({0, *revisions}) == 4

    def test_groups_that_are_not_written_keep_their_revision(self, storage: Storage) -> None:
        before = write(storage, "x/a", name="1")

        assert storage.change({"x/a": before}, {("x/b", "name"): "2"})

        assert revision(storage, "x/a") == before

    def test_a_revision_never_comes_again(self, storage: Storage) -> None:
        seen = {0}
        for _ in range(5):
            seen.add(write(storage, "x/here", a="1"))
            storage.change({}, {("x/here", "a"): None})

        assert len(seen) == 6

    def test_revisions_are_given_in_the_order_asked_for(self, storage: Storage) -> None:
        one, two = write(storage, "x/a", name="1"), write(storage, "x/b", name="2")

        assert list(storage.revisions(["x/b", "x/none", "x/a", "x/b"])) == [two, 0, one, two]

    def test_revisions_are_those_that_read_gives(self, storage: Storage) -> None:
        write(storage, "x/here", a="1")

        assert storage.read(["x/here"])["x/here"].revision == revision(storage, "x/here")
        assert storage.groups("x/")["x/here"][0] == revision(storage, "x/here")

    # -------------------------------------------------------------------------------------------- change

    def test_a_change_that_expects_the_right_revisions_is_written(self, storage: Storage) -> None:
        one = write(storage, "x/a", name="1")

        assert storage.change({"x/a": one, "x/b": 0}, {("x/a", "name"): "2", ("x/b", "name"): "3"})

        assert self.values(storage, "x/a") == {"name": "2"}
        assert self.values(storage, "x/b") == {"name": "3"}

    def test_a_change_that_expects_one_wrong_revision_does_nothing(self, storage: Storage) -> None:
        old = write(storage, "x/a", name="1")
        new = write(storage, "x/a", name="2")
        other = write(storage, "x/b", name="1")
        self.put(storage, "q", b"1")

        assert not storage.change({"x/b": other, "x/a": old}, {("x/b", "name"): "3", ("x/c", "name"): "3"}, ["q"])

        assert list(storage.revisions(["x/a", "x/b", "x/c"])) == [new, other, 0]
        assert self.drained(storage, "q") == [b"1"]

    def test_revision_0_expects_that_a_group_does_not_exist(self, storage: Storage) -> None:
        assert storage.change({"x/here": 0}, {("x/here", "a"): "1"})

        assert not storage.change({"x/here": 0}, {("x/here", "a"): "2"})

        assert self.values(storage, "x/here") == {"a": "1"}

    def test_a_group_that_is_gone_no_longer_has_its_revision(self, storage: Storage) -> None:
        before = write(storage, "x/here", a="1")
        storage.change({}, {("x/here", "a"): None})

        assert not storage.change({"x/here": before}, {("x/here", "a"): "2"})

    def test_of_many_changes_at_once_none_is_lost(self, storage: Storage) -> None:
        def count_up() -> None:
            with self.opened() as mine:
                for _ in range(20):
                    while True:
                        group = mine.read(["x/counter"])["x/counter"]
                        value = str(int(group.values.get("n", "0")) + 1)
                        if mine.change({"x/counter": group.revision}, {("x/counter", "n"): value}):
                            break

        at_once([count_up] * 6)

        assert self.values(storage, "x/counter") == {"n": "120"}

    def test_groups_written_together_are_read_together(self, storage: Storage) -> None:
        def keep_equal(number: int) -> int:
            with self.opened() as mine:
                unequal = 0
                for step in range(40):
                    value = f"{number}/{step}"
                    mine.change({}, {("x/a", "v"): value, ("x/b", "v"): value})
                    found = mine.read(["x/a", "x/b"])
                    unequal += found["x/a"].values != found["x/b"].values
                return unequal

        assert at_once([partial(keep_equal, number) for number in range(3)]) == [0, 0, 0]

    # -------------------------------------------------------------------------------------------- listing

    def test_groups_are_listed_by_the_beginning_of_their_names(self, storage: Storage) -> None:
        revisions = {name: write(storage, name, a="1") for name in ["x/a", "x/b", "q/a", "x"]}

        listed = storage.groups("x/")

        assert {name: found for name, (found, _) in listed.items()} == {
            "x/a": revisions["x/a"],
            "x/b": revisions["x/b"],
        }
        assert sorted(storage.groups("")) == ["q/a", "x", "x/a", "x/b"]

    @pytest.mark.parametrize("prefix", ["%", "_", "*", "?", "[a]", "X", "\\", "'", "é"])
    def test_the_beginning_of_a_name_is_taken_literally(self, storage: Storage, prefix: str) -> None:
        write(storage, f"{prefix}yes", a="1")
        write(storage, "x no", a="1")
        write(storage, "a no", a="1")

        assert list(storage.groups(prefix)) == [f"{prefix}yes"]

    def test_the_age_of_a_group_counts_from_its_last_change(self, storage: Storage) -> None:
        write(storage, "x/old", a="1")
        write(storage, "x/new", a="1")
        self.clock_advance(self.tick)
        write(storage, "x/new", a="1")

        ages = {name: age for name, (_, age) in storage.groups("x/").items()}

        assert ages["x/old"] - ages["x/new"] >= self.tick * 900
        assert ages["x/new"] >= 0
        assert storage.read(["x/old"])["x/old"].age_ms >= self.tick * 900

    # ----------------------------------------------------------------------------------------------- drop

    def test_a_dropped_queue_loses_ready_delayed_and_leased_records(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        self.put(storage, "q", b"3", delay_ms=1)
        self.put(storage, "kept", b"4")
        held = tokens(self.take(storage, "q", 1))
        self.clock_advance(self.tick)

        assert storage.change({}, {}, ["q", "never"])

        storage.sweep()
        assert storage.depth(["q"])[0] == (0, 0, 0, 0)
        assert list(storage.settle(held, OWNER)) == held
        assert not storage.forget(OWNER, force=True)
        assert self.drained(storage, "q") == []
        assert self.drained(storage, "kept") == [b"4"]

    def test_what_was_held_of_a_dropped_queue_does_not_come_back_into_its_successor(self, storage: Storage) -> None:
        self.put(storage, "q", b"old")
        held = tokens(self.take(storage, "q"))
        storage.change({}, {}, ["q"])
        self.put(storage, "q", b"new")

        assert list(storage.release(held, OWNER)) == held
        storage.forget(OWNER, force=True)

        assert self.drained(storage, "q") == [b"new"]

    def test_dropping_only_if_empty_spares_a_queue_with_ready_records(self, storage: Storage) -> None:
        self.put(storage, "full", b"1")

        assert not storage.change({}, {("x/here", "a"): "1"}, ["empty", "full"], only_empty=True)

        assert revision(storage, "x/here") == 0
        assert self.drained(storage, "full") == [b"1"]

    def test_dropping_only_if_empty_drops_a_queue_that_has_none_ready(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        held = tokens(self.take(storage, "q"))

        assert storage.change({}, {("x/here", "a"): "1"}, ["q"], only_empty=True)

        assert revision(storage, "x/here") != 0
        assert list(storage.settle(held, OWNER)) == held
