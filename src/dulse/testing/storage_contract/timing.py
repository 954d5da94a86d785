"""Cases: ages, times to live, delays, and what `sweep` finds."""

# ruff: noqa: D102, PLR2004, S101 - a case's name is its sentence, its numbers are what it is about

from __future__ import annotations

from dulse.testing.storage_contract.bench import LONG_MS, OWNER, StorageBench, needs, tokens
from dulse.virtual.storage import Storage


class Timing(StorageBench):
    """What the contract promises about time; a case lets one or more ticks pass."""

    @property
    def tick_ms(self) -> int:
        """Give one tick in milliseconds."""
        return int(self.tick * 1000)

    def test_a_record_has_the_age_it_has_waited(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        self.clock_advance(self.tick)
        self.put(storage, "q", b"2")

        old, young = self.take(storage, "q")

        assert self.tick_ms * 0.9 <= old.age_ms < LONG_MS
        assert 0 <= young.age_ms <= old.age_ms - self.tick_ms * 0.9

    def test_the_age_is_told_when_looking_and_kept_when_released(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")
        storage.release(tokens(self.take(storage, "q")), OWNER)
        self.clock_advance(self.tick)

        assert storage.peek("q", 1)[0].age_ms >= self.tick_ms * 0.9
        assert self.take(storage, "q")[0].age_ms >= self.tick_ms * 0.9

    def test_a_time_to_live_comes_with_the_record(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", ttl_ms=LONG_MS)
        storage.release(tokens(self.take(storage, "q")), OWNER)

        assert storage.peek("q", 1)[0].ttl_ms == LONG_MS
        assert self.take(storage, "q")[0].ttl_ms == LONG_MS

    def test_reserve_gives_expired_records_too(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", ttl_ms=self.tick_ms)
        self.clock_advance(self.tick * 2)

        (record,) = self.take(storage, "q")

        assert record.ttl_ms is not None
        assert record.age_ms > record.ttl_ms

    def test_reserve_expired_takes_only_what_has_outlived_its_time(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", ttl_ms=self.tick_ms)
        self.clock_advance(self.tick * 2)
        self.put(storage, "q", b"3", ttl_ms=LONG_MS)
        self.put(storage, "q", b"4")

        taken = storage.reserve_expired("q", 10, OWNER, LONG_MS)

        assert self.bodies(taken) == [b"1", b"2"]
        assert self.drained(storage, "q") == [b"3", b"4"]
        assert not storage.settle(tokens(taken), OWNER)

    def test_reserve_expired_finds_what_expired_in_each_priority(self, storage: Storage) -> None:
        needs(storage.capabilities.priorities > 1, "priorities")
        self.put(storage, "q", b"low", ttl_ms=self.tick_ms, priority=1)
        self.put(storage, "q", b"high", ttl_ms=LONG_MS, priority=2)
        self.clock_advance(self.tick * 2)

        assert self.bodies(storage.reserve_expired("q", 10, OWNER, LONG_MS)) == [b"low"]

    def test_reserve_expired_takes_no_more_than_asked(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3", ttl_ms=1)
        self.clock_advance(self.tick)

        assert self.bodies(storage.reserve_expired("q", 2, OWNER, LONG_MS)) == [b"1", b"2"]
        assert self.bodies(storage.reserve_expired("q", 2, OWNER, LONG_MS)) == [b"3"]
        assert not storage.reserve_expired("q", 2, OWNER, LONG_MS)
        assert not storage.reserve_expired("none", 2, OWNER, LONG_MS)

    def test_reserve_expired_is_no_delivery(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", ttl_ms=1)
        self.clock_advance(self.tick)

        (record,) = storage.reserve_expired("q", 1, OWNER, LONG_MS)
        storage.release([record.token], OWNER)

        assert record.deliveries == 0
        assert self.take(storage, "q")[0].deliveries == 1

    def test_what_reserve_expired_took_is_held_by_its_owner(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", ttl_ms=1)
        self.clock_advance(self.tick)
        storage.reserve_expired("q", 1, OWNER, LONG_MS)
        assert storage.depth(["q"])[0][:3] == (0, 1, 0)

        storage.forget(OWNER, force=True)

        assert self.drained(storage, "q") == [b"1"]

    # --------------------------------------------------------------------------------------------- delay

    def test_a_delayed_record_is_not_ready_before_its_time(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", delay_ms=LONG_MS)

        storage.sweep()

        assert self.take(storage, "q") == []
        assert storage.peek("q", 1) == []
        assert storage.depth(["q"])[0][:3] == (0, 0, 1)

    def test_sweep_makes_delayed_records_ready_and_names_their_queues(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", delay_ms=self.tick_ms)
        self.put(storage, "r", b"2", delay_ms=LONG_MS)
        self.clock_advance(self.tick * 2)

        assert list(storage.sweep().promoted) == ["q"]

        assert self.drained(storage, "q") == [b"1"]
        assert storage.depth(["r"])[0][:3] == (0, 0, 1)

    def test_sweep_promotes_no_more_than_asked_and_says_that_there_is_more(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3", delay_ms=1)
        self.clock_advance(self.tick)

        assert storage.sweep(2).next_due == 0
        assert storage.depth(["q"])[0][:3] == (2, 0, 1)
        assert storage.sweep(2).next_due is None
        assert self.drained(storage, "q") == [b"1", b"2", b"3"]

    def test_sweep_tells_when_the_next_delayed_record_is_due(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", delay_ms=60_000)
        self.put(storage, "q", b"2", delay_ms=90_000)

        due = storage.sweep().next_due

        assert due is not None
        assert 50 < due <= 60

    def test_sweep_of_an_idle_store_waits_for_nothing(self, storage: Storage) -> None:
        self.put(storage, "q", b"1")

        swept = storage.sweep()

        assert (list(swept.promoted), list(swept.expired), swept.next_due) == ([], [], None)

    def test_a_delayed_record_is_as_old_as_it_has_been_ready(self, storage: Storage) -> None:
        self.put(storage, "q", b"at once")
        self.put(storage, "q", b"delayed", delay_ms=self.tick_ms * 4)
        self.clock_advance(self.tick * 5)
        storage.sweep()

        at_once, delayed = self.take(storage, "q")

        assert delayed.age_ms <= at_once.age_ms - self.tick_ms * 3.6

    def test_a_delayed_record_comes_after_what_was_ready_before_it(self, storage: Storage) -> None:
        self.put(storage, "q", b"delayed", delay_ms=self.tick_ms)
        self.put(storage, "q", b"at once")
        self.clock_advance(self.tick * 2)
        storage.sweep()

        assert self.drained(storage, "q") == [b"at once", b"delayed"]

    def test_a_delayed_record_keeps_its_priority_and_time_to_live(self, storage: Storage) -> None:
        self.put(storage, "q", b"high", delay_ms=self.tick_ms, priority=3, ttl_ms=LONG_MS)
        self.put(storage, "q", b"low", priority=1)
        self.clock_advance(self.tick * 2)
        storage.sweep()

        high, low = self.take(storage, "q")

        assert (self.bodies([high, low]), high.ttl_ms) == ([b"high", b"low"], LONG_MS)

    def test_a_record_released_with_a_delay_returns_to_its_old_place_later(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", b"2", b"3")
        taken = self.take(storage, "q", 2)

        assert not storage.release(tokens(taken[:1]), OWNER, self.tick_ms)
        assert storage.depth(["q"])[0][:3] == (1, 1, 1)
        storage.release(tokens(taken[1:]), OWNER)
        self.clock_advance(self.tick * 2)
        storage.sweep()

        again = self.take(storage, "q")
        assert self.bodies(again) == [b"1", b"2", b"3"]
        assert [record.deliveries for record in again] == [2, 2, 1]

    # ---------------------------------------------------------------------------------------- expiry told

    def test_sweep_names_queues_whose_records_have_expired(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", ttl_ms=self.tick_ms)
        self.put(storage, "r", b"2", ttl_ms=LONG_MS)
        self.put(storage, "s", b"3")
        self.clock_advance(self.tick * 2)

        assert list(storage.sweep().expired) == ["q"]

    def test_sweep_tells_when_the_next_record_expires(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", ttl_ms=60_000)

        due = storage.sweep().next_due

        assert due is not None
        assert 50 < due <= 60

    def test_sweep_names_an_expired_queue_until_the_records_are_taken(self, storage: Storage) -> None:
        self.put(storage, "q", b"1", ttl_ms=1)
        self.clock_advance(self.tick)
        assert [list(storage.sweep().expired) for _ in range(2)] == [["q"], ["q"]]

        storage.settle(tokens(storage.reserve_expired("q", 1, OWNER, LONG_MS)), OWNER)

        assert list(storage.sweep().expired) == []
