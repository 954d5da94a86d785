"""Cases: waiting for records, and being woken by everything that makes one ready."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from dulse.model.records import Guard, Put, Target
from dulse.testing.storage_contract.bench import (
    OTHER,
    OWNER,
    PATIENCE,
    StorageBench,
    at_once,
    background,
    needs,
    tokens,
    until,
    write,
)
from dulse.virtual.storage import Storage

LONG = 30.0
"""Seconds that no case waits, unless a wake-up is lost; a case that hangs must still come to its end."""

MOMENT = 0.02
"""Seconds after which a thread most likely waits. A case holds either way, but shows more if it does."""


class Waiting(StorageBench):
    """What `wait` and `wake` promise."""

    def woken(self, storage: Storage, act: Callable[[], object]) -> None:
        """Check that a wait for "q", a queue in use, ends when `act` is done, and that a record is ready then."""
        self.put(storage, "q", b"before")
        assert self.drained(storage, "q", OWNER)[-1:] == [b"before"]
        assert self.take(storage, "q") == []
        with background(lambda: storage.wait(["q"], LONG)) as waiting:
            time.sleep(MOMENT)
            act()
            changed = waiting.result(PATIENCE)
        assert changed is None or list(changed) == ["q"]
        assert storage.depth(["q"])[0].ready

    def test_waiting_no_time_at_all_looks_once(self, storage: Storage) -> None:
        assert storage.wait(["q"], 0) == ()

        self.put(storage, "q", b"1")

        assert storage.wait(["q"], 0) != ()

    def test_waiting_ends_when_its_time_is_over(self, storage: Storage) -> None:
        with background(lambda: storage.wait(["q", "r"], self.tick)) as waiting:
            until(waiting.done, lambda: self.clock_advance(self.tick))

        assert waiting.result() == ()

    def test_a_put_just_before_waiting_is_not_missed(self, storage: Storage, neighbour: Storage) -> None:
        for _ in range(20):
            self.drained(storage, "q")
            self.put(neighbour, "q", b"1")

            changed = storage.wait(["q"], LONG)

            assert changed is None or list(changed) == ["q"]

    def test_a_put_by_another_ends_a_wait(self, storage: Storage, neighbour: Storage) -> None:
        self.woken(storage, lambda: self.put(neighbour, "q", b"1"))

    def test_a_put_by_the_same_storage_object_ends_a_wait(self, storage: Storage) -> None:
        self.woken(storage, lambda: self.put(storage, "q", b"1"))

    def test_a_put_to_one_of_many_queues_ends_a_wait_and_names_it(self, storage: Storage, neighbour: Storage) -> None:
        names = [f"queue {number}" for number in range(100)]
        with background(lambda: storage.wait(names, LONG)) as waiting:
            time.sleep(MOMENT)
            self.put(neighbour, names[77], b"1")
            changed = waiting.result(PATIENCE)

        assert changed is None or list(changed) == [names[77]]

    def test_a_release_ends_a_wait(self, storage: Storage, neighbour: Storage) -> None:
        self.put(neighbour, "q", b"1")
        held = tokens(self.take(neighbour, "q", owner=OTHER))

        self.woken(storage, lambda: neighbour.release(held, OTHER))

    def test_a_forward_ends_a_wait(self, storage: Storage, neighbour: Storage) -> None:
        self.put(neighbour, "another", b"1")
        (record,) = self.take(neighbour, "another", owner=OTHER)
        puts = [Put(self.make_payload(b"moved"), [Target("q")])]

        self.woken(storage, lambda: neighbour.forward(record.token, OTHER, puts))

    def test_a_delayed_record_that_became_ready_ends_a_wait(self, storage: Storage, neighbour: Storage) -> None:
        self.put(neighbour, "q", b"1", delay_ms=1)
        self.clock_advance(self.tick)

        self.woken(storage, neighbour.sweep)

    def test_what_a_forgotten_owner_held_ends_a_wait(self, storage: Storage, neighbour: Storage) -> None:
        self.put(neighbour, "q", b"1")
        self.take(neighbour, "q", owner=OTHER)

        self.woken(storage, lambda: neighbour.forget(OTHER, force=True))

    def test_a_parked_record_ends_a_wait(self, storage: Storage, neighbour: Storage) -> None:
        needs(storage.capabilities.guarded_put, "guarded_put")
        write(neighbour, "x/here", a="1")
        puts = [Put(self.make_payload(b"1"), [])]

        self.woken(storage, lambda: self.decided(neighbour, puts, [Guard("x/here", 0)], park="q"))

    def test_a_queue_dropped_and_used_again_still_ends_a_wait(self, storage: Storage, neighbour: Storage) -> None:
        self.put(storage, "q", b"1")
        self.drained(storage, "q")

        def drop_and_use() -> None:
            neighbour.change({}, {}, ["q"])
            self.put(neighbour, "q", b"2")

        with background(lambda: [storage.wait(["q"], LONG), storage.wait(["q"], LONG)]) as waiting:
            time.sleep(MOMENT)
            drop_and_use()
            waiting.result(PATIENCE)

        assert self.drained(storage, "q") == [b"2"]

    def test_waiting_takes_nothing(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")

        storage.wait(["q"], LONG)

        assert storage.depth(["q"])[0][:3] == (1, 0, 0)

    def test_wake_ends_all_waits_of_the_storage_object(self, storage: Storage) -> None:
        waits = [partial(storage.wait, [queue], LONG) for queue in "abc"]

        def wake() -> None:
            storage.wake()
            time.sleep(0.01)

        with background(lambda: at_once(waits)) as waiting:
            until(waiting.done, wake)

        assert len(waiting.result()) == 3

    def test_every_waiter_hears_of_its_own_queue(self, storage: Storage, neighbour: Storage) -> None:
        def consume(queue: str) -> list[bytes]:
            owner = f"{OWNER} of {queue}"
            while not (found := self.drained(storage, queue, owner)):
                storage.wait([queue], LONG)
            return found

        queues = [f"queue {number}" for number in range(8)]
        with background(lambda: at_once([partial(consume, queue) for queue in queues])) as waiting:
            for queue in reversed(queues):
                self.put(neighbour, queue, queue.encode())
            found = waiting.result(PATIENCE)

        assert found == [[queue.encode()] for queue in queues]

    def test_all_waiters_of_a_queue_hear_of_it(self, storage: Storage, neighbour: Storage) -> None:
        waits = [partial(one.wait, ["q"], LONG) for one in (storage, storage, neighbour)]
        with background(lambda: at_once(waits)) as waiting:
            time.sleep(MOMENT)
            self.put(neighbour, "q", b"1")
            changed = waiting.result(PATIENCE)

        assert [names is None or list(names) == ["q"] for names in changed] == [True] * 3

    def test_no_record_is_slept_over_by_competing_waiters(self, storage: Storage) -> None:
        count, per_put = 40, 2
        taken: list[bytes] = []

        def consume(owner: str) -> None:
            with self.opened() as mine:
                while len(taken) < count * per_put:
                    found = self.take(mine, "q", 1, owner)
                    taken.extend(self.bodies(found))
                    mine.settle(tokens(found), owner)
                    if not found and len(taken) < count * per_put:
                        mine.wait(["q", owner], LONG)
                for number in range(3):
                    self.put(mine, f"consumer {number}", b"end")

        consumers = [partial(consume, f"consumer {number}") for number in range(3)]
        with background(lambda: at_once(consumers)) as consuming:
            for number in range(count):
                self.put(storage, "q", *(b"%d" % (number * per_put + part) for part in range(per_put)))
                until(partial(lambda done: len(taken) >= done, (number + 1) * per_put), lambda: time.sleep(0.0005))
            consuming.result(PATIENCE)

        assert sorted(map(int, taken)) == list(range(count * per_put))
