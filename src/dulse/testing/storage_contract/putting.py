"""Cases: putting, guards, parking, and the numbers of a publisher."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

import pytest

from dulse.model.records import Guard, Put, Target
from dulse.testing.storage_contract.bench import PATIENCE, StorageBench, needs, revision, write
from dulse.virtual.storage import StaleTopology, Storage


class Putting(StorageBench):
    """What `put` and `barrier` promise."""

    def test_a_put_reaches_all_its_targets(self, storage: Storage) -> None:
        targets = [Target("a"), Target("b"), Target("c")]

        assert not self.decided(storage, [Put(self.make_payload(b"one"), targets)])

        assert [self.drained(storage, queue) for queue in "abc"] == [[b"one"]] * 3

    def test_puts_of_one_call_keep_their_order(self, storage: Storage) -> None:
        assert not self.put(storage, "q", b"1", b"2", b"3")

        assert self.drained(storage, "q") == [b"1", b"2", b"3"]

    def test_puts_of_one_call_may_go_to_different_queues(self, storage: Storage) -> None:
        puts = [
            Put(self.make_payload(body), [Target(queue)]) for body, queue in [(b"1", "a"), (b"2", "b"), (b"3", "a")]
        ]

        self.decided(storage, puts)

        assert self.drained(storage, "a") == [b"1", b"3"]
        assert self.drained(storage, "b") == [b"2"]

    def test_a_put_of_nothing_does_nothing(self, storage: Storage) -> None:
        assert not self.decided(storage, [])

    def test_what_one_storage_object_puts_another_takes(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"one")

        assert self.drained(neighbour, "q") == [b"one"]

    def test_a_guard_that_holds_lets_a_put_through(self, storage: Storage) -> None:
        guard = Guard("x/here", write(storage, "x/here", a="1"))

        assert not self.decided(storage, [Put(self.make_payload(b"one"), [Target("q")])], [guard])

        assert self.drained(storage, "q") == [b"one"]

    def test_a_guard_of_revision_0_holds_for_a_group_that_does_not_exist(self, storage: Storage) -> None:
        self.decided(storage, [Put(self.make_payload(b"one"), [Target("q")])], [Guard("x/none", 0)])

        assert self.drained(storage, "q") == [b"one"]

    def test_a_guard_of_revision_0_fails_once_the_group_exists(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(storage, "x/here", a="1")

        with pytest.raises(StaleTopology):
            self.decided(storage, [Put(self.make_payload(b"one"), [Target("q")])], [Guard("x/here", 0)])

    def test_a_guard_that_fails_writes_nothing_anywhere(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        holds, fails = Guard("x/a", write(storage, "x/a", a="1")), Guard("x/b", write(storage, "x/b", a="1"))
        write(storage, "x/b", a="2")
        puts = [Put(self.make_payload(b"one"), [Target("a")]), Put(self.make_payload(b"two"), [Target("b")])]

        with pytest.raises(StaleTopology):
            self.decided(storage, puts, [holds, fails])

        assert [depth.ready for depth in storage.depth(["a", "b"])] == [0, 0]

    def test_a_guard_fails_on_a_group_deleted_and_made_again(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        guard = Guard("x/here", write(storage, "x/here", a="1"))
        storage.change({}, {("x/here", "a"): None})
        write(storage, "x/here", a="1")

        with pytest.raises(StaleTopology):
            self.decided(storage, [Put(self.make_payload(b"one"), [Target("q")])], [guard])

    def test_a_put_without_targets_writes_nothing(self, storage: Storage) -> None:
        assert not self.decided(storage, [Put(self.make_payload(b"one"), [])], [Guard("x/none", 0)], park="parked")

        assert storage.depth(["parked"])[0].ready == 0

    def test_a_put_without_targets_has_its_guards_checked(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(storage, "x/here", a="1")

        with pytest.raises(StaleTopology):
            self.decided(storage, [Put(self.make_payload(b"one"), [])], [Guard("x/here", 0)])

    def test_what_a_failed_guard_parks_waits_in_the_parking_queue_only(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(storage, "x/here", a="1")
        puts = [Put(self.make_payload(b"1"), [Target("a"), Target("b")]), Put(self.make_payload(b"2"), [Target("b")])]

        assert not self.decided(storage, puts, [Guard("x/here", 0)], park="parked")

        assert self.drained(storage, "parked") == [b"1", b"2"]
        assert [depth.ready for depth in storage.depth(["a", "b"])] == [0, 0]

    def test_a_put_without_targets_is_parked_as_well(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(storage, "x/here", a="1")

        self.decided(storage, [Put(self.make_payload(b"one"), [])], [Guard("x/here", 0)], park="parked")

        assert self.drained(storage, "parked") == [b"one"]

    def test_a_guard_that_holds_parks_nothing(self, storage: Storage) -> None:
        puts = [Put(self.make_payload(b"one"), [Target("q")])]

        self.decided(storage, puts, [Guard("x/none", 0)], park="parked")

        assert [depth.ready for depth in storage.depth(["q", "parked"])] == [1, 0]

    # ---------------------------------------------------------------------------- numbers of a publisher

    def numbered(self, storage: Storage, body: bytes, number: int, publisher: str = "p") -> None:
        """Put one record as a publisher's call of this number."""
        self.decided(storage, [Put(self.make_payload(body), [Target("q")])], (), (publisher, number))

    def test_a_publishers_numbers_begin_at_1_and_rise_by_1(self, storage: Storage) -> None:
        for number, body in enumerate([b"1", b"2", b"3"], start=1):
            self.numbered(storage, body, number)

        assert self.drained(storage, "q") == [b"1", b"2", b"3"]
        assert storage.barrier(PATIENCE)[0] == 3

    def test_a_repeated_number_writes_nothing(self, storage: Storage) -> None:
        for _ in range(3):
            self.numbered(storage, b"one", 1)

        assert self.drained(storage, "q") == [b"one"]
        assert storage.barrier(PATIENCE)[0] == 1

    def test_a_repeat_by_another_storage_object_writes_nothing(self, storage: Storage, neighbour: Storage) -> None:
        self.numbered(storage, b"one", 1)

        self.numbered(neighbour, b"one", 1)

        assert self.drained(storage, "q") == [b"one"]
        assert neighbour.barrier(PATIENCE)[0] == 1

    def test_a_number_after_a_gap_writes_nothing(self, storage: Storage) -> None:
        self.numbered(storage, b"1", 1)

        self.numbered(storage, b"3", 3)

        assert self.drained(storage, "q") == [b"1"]
        assert storage.barrier(PATIENCE)[0] == 1

    def test_a_put_of_nothing_uses_up_its_number(self, storage: Storage) -> None:
        self.numbered(storage, b"1", 1)
        self.decided(storage, [], (), ("p", 2))

        self.numbered(storage, b"another 2", 2)
        self.numbered(storage, b"3", 3)

        assert self.drained(storage, "q") == [b"1", b"3"]
        assert storage.barrier(PATIENCE)[0] == 3

    def test_publishers_are_numbered_apart(self, storage: Storage) -> None:
        self.numbered(storage, b"1", 1, "p")

        self.numbered(storage, b"2", 1, "another")

        assert self.drained(storage, "q") == [b"1", b"2"]

    def test_a_repeat_is_harmless_though_its_guard_has_become_stale(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        guard = Guard("x/here", write(storage, "x/here", a="1"))
        puts = [Put(self.make_payload(b"one"), [Target("q")])]
        self.decided(storage, puts, [guard], ("p", 1), "parked")
        write(storage, "x/here", a="2")

        self.decided(storage, puts, [guard], ("p", 1), "parked")

        assert [depth.ready for depth in storage.depth(["q", "parked"])] == [1, 0]

    def test_a_parked_put_uses_up_its_number(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(storage, "x/here", a="1")
        puts = [Put(self.make_payload(b"one"), [Target("q")])]

        for _ in range(2):
            self.decided(storage, puts, [Guard("x/here", 0)], ("p", 1), "parked")

        assert self.drained(storage, "parked") == [b"one"]
        assert storage.barrier(PATIENCE)[0] == 1

    def test_a_put_refused_as_stale_does_not_use_up_its_number(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(storage, "x/here", a="1")
        puts = [Put(self.make_payload(b"one"), [Target("q")])]
        with pytest.raises(StaleTopology):
            self.decided(storage, puts, [Guard("x/here", 0)], ("p", 1))

        self.decided(storage, puts, [Guard("x/here", revision(storage, "x/here"))], ("p", 1))

        assert self.drained(storage, "q") == [b"one"]
