"""Cases: reserving in order, settling, releasing to the old place, forwarding, and fencing by token."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

import pytest

from dulse.model.records import Guard, Put, Target
from dulse.testing.storage_contract.bench import LONG_MS, OTHER, OWNER, StorageBench, needs, tokens, write
from dulse.virtual.storage import StaleTopology, Storage


class Taking(StorageBench):
    """What `reserve`, `settle` and `release` promise."""

    def test_the_oldest_record_comes_first(self, storage: Storage) -> None:
        for body in [b"1", b"2", b"3"]:
            self.put(storage, "q", body)

        assert [self.bodies(self.take(storage, "q", 1)) for _ in range(4)] == [[b"1"], [b"2"], [b"3"], []]

    def test_the_highest_priority_comes_first_and_the_oldest_within_it(self, storage: Storage) -> None:
        needs(storage.capabilities.priorities > 1, "priorities")
        for body, priority in [(b"a0", 0), (b"a9", 9), (b"a5", 5), (b"b0", 0), (b"b9", 9), (b"b5", 5)]:
            self.put(storage, "q", body, priority=priority)

        assert self.bodies(self.take(storage, "q", 3)) == [b"a9", b"b9", b"a5"]
        assert self.bodies(self.take(storage, "q")) == [b"b5", b"a0", b"b0"]

    def test_each_queue_gives_no_more_than_its_number(self, storage: Storage) -> None:
        self.put(storage, "a", b"a1", b"a2", b"a3")
        self.put(storage, "b", b"b1", b"b2", b"b3")

        leased, _ = storage.reserve([("b", 1), ("a", 2), ("none", 5)], OWNER, LONG_MS)

        assert sorted((record.queue, self.body_of(record.payload)) for record in leased) == [
            ("a", b"a1"),
            ("a", b"a2"),
            ("b", b"b1"),
        ]

    def test_wanting_none_gives_none(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")

        assert [list(part) for part in storage.reserve([("q", 0)], OWNER, LONG_MS)] == [[], []]
        assert [list(part) for part in storage.reserve([], OWNER, LONG_MS)] == [[], []]

    def test_a_taken_record_is_given_to_nobody_else(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        self.take(storage, "q", 1)

        assert self.bodies(self.take(neighbour, "q", owner=OTHER)) == [b"2"]

    def test_a_taken_record_tells_its_queue_and_that_it_is_the_first_time(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")

        (record,) = self.take(storage, "q")

        assert (record.queue, record.deliveries, record.ttl_ms) == ("q", 1, None)

    def test_every_taking_has_a_token_of_its_own(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        seen = set()
        for _ in range(5):
            for taker, owner in [(storage, OWNER), (neighbour, OTHER)]:
                taken = tokens(self.take(taker, "q", owner=owner))
                seen.update(taken)
                taker.release(taken, owner)

        assert len(seen) == 20

    # -------------------------------------------------------------------------------------------- settle

    def test_a_settled_record_is_gone_for_good(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")

        assert not storage.settle(tokens(self.take(storage, "q", 1)), OWNER)

        storage.forget(OWNER, force=True)
        assert storage.depth(["q"])[0][:3] == (1, 0, 0)
        assert self.drained(storage, "q") == [b"2"]

    def test_settling_again_tells_that_it_was_no_longer_ones_own(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        one, two = tokens(self.take(storage, "q"))
        storage.settle([one], OWNER)

        assert list(storage.settle([one, two], OWNER)) == [one]

    def test_nobody_settles_what_another_holds(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        held = tokens(self.take(storage, "q"))

        assert list(neighbour.settle(held, OTHER)) == held

        assert not storage.settle(held, OWNER)

    def test_a_late_settle_does_not_touch_a_later_taking(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        early = tokens(self.take(storage, "q"))
        storage.release(early, OWNER)
        late = tokens(self.take(storage, "q"))

        assert list(storage.settle(early, OWNER)) == early

        assert not storage.settle(late, OWNER)

    def test_settling_nothing_loses_nothing(self, storage: Storage) -> None:
        assert not storage.settle([], OWNER)
        assert not storage.release([], OWNER)

    def test_reserve_settles_in_the_same_call(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        first = tokens(self.take(storage, "q", 1))

        leased, lost = storage.reserve([("q", 1)], OWNER, LONG_MS, settle=first)

        assert (self.bodies(leased), list(lost)) == ([b"2"], [])
        assert storage.depth(["q"])[0][:3] == (0, 1, 0)

    def test_reserve_tells_what_it_could_not_settle(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        first = tokens(self.take(storage, "q", 1))
        storage.settle(first, OWNER)

        leased, lost = storage.reserve([("q", 1)], OWNER, LONG_MS, settle=first)

        assert (self.bodies(leased), list(lost)) == ([b"2"], first)

    # ------------------------------------------------------------------------------------------- release

    def test_a_released_record_comes_again_and_counts_its_deliveries(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        counts = []
        for _ in range(3):
            (record,) = self.take(storage, "q")
            counts.append(record.deliveries)
            assert not storage.release([record.token], OWNER)

        assert counts == [1, 2, 3]

    def test_an_uncounted_release_takes_the_delivery_back(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        for _ in range(3):
            (record,) = self.take(storage, "q")
            assert record.deliveries == 1
            storage.release([record.token], OWNER, counted=False)

    def test_released_records_return_to_their_old_places(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3", b"4", b"5")
        one, two, three = tokens(self.take(storage, "q", 3))
        storage.settle([two], OWNER)

        storage.release([three, one], OWNER)

        assert self.drained(storage, "q") == [b"1", b"3", b"4", b"5"]

    def test_two_owners_releasing_in_parts_restore_the_old_order(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", *(b"%d" % number for number in range(1, 10)))
        mine, theirs = [], []
        for _ in range(4):
            mine += tokens(self.take(storage, "q", 1))
            theirs += tokens(self.take(neighbour, "q", 1, OTHER))

        neighbour.release(theirs[2:], OTHER)
        storage.release(mine[1:3], OWNER)
        neighbour.release(theirs[:2], OTHER)
        storage.release([mine[3], mine[0]], OWNER)

        assert self.drained(storage, "q") == [b"%d" % number for number in range(1, 10)]

    def test_a_released_record_keeps_its_priority(self, storage: Storage) -> None:
        needs(storage.capabilities.priorities > 1, "priorities")
        self.put(storage, "q", b"high 1", b"high 2", priority=7)
        self.put(storage, "q", b"low", priority=1)
        taken = tokens(self.take(storage, "q", 3))

        storage.release(taken[::-1], OWNER)

        assert self.drained(storage, "q") == [b"high 1", b"high 2", b"low"]

    def test_a_record_released_twice_in_one_call_comes_once(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        (held,) = tokens(self.take(storage, "q"))

        storage.release([held, held], OWNER)

        assert storage.depth(["q"])[0] == (1, 0, 0, 1)
        assert self.drained(storage, "q") == [b"1"]

    def test_nobody_releases_what_another_holds(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        held = tokens(self.take(storage, "q"))

        assert list(neighbour.release(held, OTHER)) == held

        assert neighbour.depth(["q"])[0][:3] == (0, 1, 0)
        assert not storage.settle(held, OWNER)


class Forwarding(StorageBench):
    """What `forward` promises."""

    def moved(self, *queues: str, body: bytes = b"moved") -> list[Put]:
        """Make a put of one record to some queues."""
        return [Put(self.make_payload(body), [Target(queue) for queue in queues], len(body))]

    def test_forward_settles_one_record_and_puts_another(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")

        assert storage.forward(record.token, OWNER, self.moved("dead", "letters"))

        assert storage.depth(["q"])[0][:3] == (0, 0, 0)
        assert self.drained(storage, "dead") == self.drained(storage, "letters") == [b"moved"]

    def test_a_forwarded_record_has_the_size_it_was_put_with(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")

        storage.forward(record.token, OWNER, self.moved("dead", body=b"12345"))

        assert storage.depth(["dead"])[0].size == len(b"12345")

    def test_a_forwarded_record_begins_anew(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")
        storage.release([record.token], OWNER)
        (record,) = self.take(storage, "q")

        storage.forward(record.token, OWNER, self.moved("dead"))

        assert [record.deliveries for record in self.take(storage, "dead")] == [1]

    def test_forward_back_to_the_same_queue_goes_to_its_end(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2")
        (record,) = self.take(storage, "q", 1)

        storage.forward(record.token, OWNER, self.moved("q", body=b"1 again"))

        assert self.drained(storage, "q") == [b"2", b"1 again"]

    def test_forward_without_targets_only_settles(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")

        assert storage.forward(record.token, OWNER, self.moved())

        assert storage.depth(["q"])[0][:3] == (0, 0, 0)

    def test_nobody_forwards_what_another_holds(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")

        assert not neighbour.forward(record.token, OTHER, self.moved("dead"))

        assert storage.depth(["dead"])[0].ready == 0
        assert not storage.settle([record.token], OWNER)

    def test_forwarding_twice_moves_once(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")

        assert [storage.forward(record.token, OWNER, self.moved("dead")) for _ in range(3)] == [True, False, False]

        assert self.drained(storage, "dead") == [b"moved"]

    def test_a_forward_on_outdated_topology_does_nothing(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        needs(storage.capabilities.atomic_forward, "atomic_forward")
        write(storage, "x/here", a="1")
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")

        with pytest.raises(StaleTopology):
            storage.forward(record.token, OWNER, self.moved("dead"), [Guard("x/here", 0)])

        assert storage.depth(["dead"])[0].ready == 0
        assert not storage.settle([record.token], OWNER)

    def test_forward_with_a_guard_that_holds_moves(self, storage: Storage) -> None:
        guard = Guard("x/here", write(storage, "x/here", a="1"))
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")

        assert storage.forward(record.token, OWNER, self.moved("dead"), [guard])

        assert self.drained(storage, "dead") == [b"moved"]

    def test_many_are_forwarded_in_their_order_and_the_lost_ones_told(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3")
        taken = self.take(storage, "q")
        storage.settle([taken[1].token], OWNER)
        moves = [(record.token, [Put(record.payload, [Target("dead")], 1)]) for record in taken]

        assert list(storage.forward_many(moves, OWNER)) == [taken[1].token]

        assert self.drained(storage, "dead") == [b"1", b"3"]
        assert storage.depth(["q"])[0] == (0, 0, 0, 0)

    def test_many_are_not_forwarded_under_a_guard_that_fails(self, storage: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(storage, "x/here", a="1")
        self.put(storage, "q", b"1", b"2")
        taken = self.take(storage, "q")
        moves = [(record.token, [Put(record.payload, [Target("dead")], 1)]) for record in taken]

        with pytest.raises(StaleTopology):
            storage.forward_many(moves, OWNER, [Guard("x/here", 0)])

        assert not storage.settle(tokens(taken), OWNER)
        assert self.drained(storage, "dead") == []

    def test_forward_goes_beyond_limits(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        (record,) = self.take(storage, "q")
        full = Target("full", max_count=0, max_bytes=0, refuse=True)

        assert storage.forward(record.token, OWNER, [Put(self.make_payload(b"moved"), [full])])

        assert self.drained(storage, "full") == [b"moved"]
