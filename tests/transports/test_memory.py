"""What the memory store does beyond the Storage contract (tests/virtual/storage): names, opening, owners."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dulse import errors
from dulse.policy.clocks import SystemClock, VirtualClock
from dulse.transports.memory import MemoryStorage, forget_store
from tests.transports.memory_words import LONG, bodies, opened, put, take

# ---------------------------------------------------------------------------------------------- names


def test_storages_of_one_name_share_a_store() -> None:
    put(opened(), b"1")

    assert bodies(take(opened())) == [b"1"]


def test_storages_of_different_names_share_nothing() -> None:
    put(opened("a"), b"1")

    assert take(opened("b")) == []
    assert take(opened("")) == []


def test_a_store_outlives_those_who_opened_it() -> None:
    storage = opened()
    put(storage, b"1")
    storage.close(1)
    del storage
    gc.collect()

    assert bodies(take(opened())) == [b"1"]


def test_a_forgotten_store_is_empty_for_the_next_and_unchanged_for_others() -> None:
    before = opened()
    put(before, b"1")
    forget_store("a")
    forget_store("never opened")

    assert take(opened()) == []
    assert bodies(take(before)) == [b"1"]


def test_many_threads_that_open_a_name_at_once_share_a_store() -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = {id(storage._store) for storage in pool.map(opened, ["b"] * 64)}

    assert len(stores) == 1


def test_a_store_on_another_clock_is_refused() -> None:
    opened("a", VirtualClock())

    with pytest.raises(errors.InvalidArgument, match=r"memory store 'a' runs on .*VirtualClock.*forget_store"):
        opened("a", SystemClock())


def test_system_clocks_are_all_the_same() -> None:
    put(opened("a", SystemClock()), b"1")

    assert bodies(take(opened("a", SystemClock()))) == [b"1"]


# ------------------------------------------------------------------------------------- open and close


CALLS: list[Callable[[MemoryStorage], object]] = [
    lambda storage: storage.put([]),
    lambda storage: storage.put([], (), ("p", 1)),
    lambda storage: storage.barrier(1),
    lambda storage: storage.reserve([], "owner", 1),
    lambda storage: storage.reserve_expired("q", 1, "owner", 1),
    lambda storage: storage.trim("q", 1, None, "owner", 1),
    lambda storage: storage.settle([], "owner"),
    lambda storage: storage.release([], "owner"),
    lambda storage: storage.forward(1, "owner", []),
    lambda storage: storage.renew("owner", 1),
    lambda storage: storage.held("owner"),
    lambda storage: storage.dead_owners(),
    lambda storage: storage.forget("owner"),
    lambda storage: storage.sweep(),
    lambda storage: storage.wait(["q"], 1),
    lambda storage: storage.depth(["q"]),
    lambda storage: storage.peek("q", 1),
    lambda storage: storage.purge("q"),
    lambda storage: storage.read([]),
    lambda storage: storage.revisions([]),
    lambda storage: storage.groups(""),
    lambda storage: storage.change({}, {}),
]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_before_open_says_that_it_is_not_open(call: Callable[[MemoryStorage], object]) -> None:
    with pytest.raises(errors.ConnectionClosed, match=r"'a' is not open yet: call open\(\)"):
        call(MemoryStorage("a", SystemClock()))


@pytest.mark.parametrize("call", CALLS)
def test_every_call_after_close_says_that_it_is_closed(call: Callable[[MemoryStorage], object]) -> None:
    storage = opened()
    storage.close(1)

    with pytest.raises(errors.ConnectionClosed, match=r"'a' is closed: call open\(\)"):
        call(storage)


def test_closing_or_waking_what_is_closed_does_nothing() -> None:
    storage = MemoryStorage("a", SystemClock())
    storage.close(1)
    storage.wake()
    storage.open(1)
    storage.open(1)
    storage.close(1)
    storage.close(1)

    assert repr(storage) == "<MemoryStorage 'a': closed>"


def test_close_ends_running_waits() -> None:
    storage = opened()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(storage.wait, ["q"], LONG)
        while not storage._waiting:
            assert not waiting.done()
        storage.close(1)

        assert waiting.result(10) is None


def test_a_discarded_storage_opens_again() -> None:
    storage = opened()
    storage.discard()
    with pytest.raises(errors.ConnectionClosed, match=r"was the parent process's: call open\(\)"):
        storage.sweep()

    storage.open(1)
    put(storage, b"1")

    assert bodies(take(storage)) == [b"1"]


# --------------------------------------------------------------------------------------------- owners


def test_a_storage_collected_without_close_leaves_dead_owners() -> None:
    storage, other = opened(), opened()
    put(storage, b"1")
    take(storage, owner="dead")
    assert list(other.dead_owners()[0]) == []

    del storage
    gc.collect()

    assert list(other.dead_owners()[0]) == ["dead"]
    assert not other.forget("dead")
    assert list(other.dead_owners()[0]) == []
    assert [record.deliveries for record in take(other)] == [2]


def test_an_owner_that_was_only_renewed_is_missed_as_well() -> None:
    storage, other = opened(), opened()
    storage.renew("dead", 1000)
    del storage
    gc.collect()

    assert list(other.dead_owners()[0]) == ["dead"]


def test_an_owner_whose_storage_was_closed_is_not_dead() -> None:
    storage, other = opened(), opened()
    put(storage, b"1")
    storage.settle([record.token for record in take(storage)], "owner")
    storage.close(1)
    del storage
    gc.collect()

    assert list(other.dead_owners()[0]) == []


def test_an_owner_that_held_records_when_its_storage_was_closed_is_dead() -> None:
    storage, other = opened(), opened()
    put(storage, b"1")
    take(storage)

    storage.close(1)

    assert list(other.dead_owners()[0]) == ["owner"]


def test_the_death_of_an_owner_wakes_all_who_wait() -> None:
    storage, other = opened(), opened()
    put(storage, b"1")
    take(storage)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(other.wait, ["another queue"], LONG)
        while not other._waiting:
            assert not waiting.done()
        del storage
        gc.collect()

        assert waiting.result(10) is None


def test_the_end_of_a_storage_that_never_took_anything_wakes_nobody() -> None:
    storage, other = opened(), opened()
    heard: list[object] = []
    other.arm(["q"], LONG, heard.append)

    storage.close(1)
    del storage
    gc.collect()

    assert heard == []


def test_an_owner_may_die_while_its_store_is_locked() -> None:
    storage, other = opened(), opened()
    put(storage, b"1")
    take(storage)
    reference = weakref.ref(storage)

    with ThreadPoolExecutor() as pool, other._store.lock:
        del storage
        pool.submit(gc.collect).result(10)

    assert reference() is None
    assert list(other.dead_owners()[0]) == ["owner"]


def test_an_owner_that_comes_back_is_not_dead() -> None:
    storage, other = opened(), opened()
    storage.renew("owner", 1000)
    del storage
    gc.collect()

    assert other.renew("owner", 1000)

    assert list(other.dead_owners()[0]) == []
