"""What the memory store keeps, in which order, and what it lets go."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dulse.model.records import Put, Target
from dulse.transports.memory import forget_store
from tests.transports.memory_words import bodies, opened, put, take


class Watched:
    """A payload that can be watched."""

    def __init__(self, body: bytes) -> None:
        self.body = body


# ----------------------------------------------------------------------------------- what is not kept


def test_a_dropped_queue_leaves_nothing_behind() -> None:
    storage = opened()
    put(storage, b"1", b"2", ttl_ms=1000)
    put(storage, b"3", delay_ms=1000)
    take(storage, 1)
    storage.change({}, {("q/q", "a"): "1"})

    storage.change({}, {("q/q", "a"): None}, ["q"])

    store = storage._store
    assert (store.queues, store.timed, store.delayed) == ({}, {}, [])
    assert store.owners == {"owner": {}}
    assert (store.catalogue.revisions, store.catalogue._groups) == ({}, {})


def test_a_dropped_queue_lets_its_payloads_go_without_the_collector() -> None:
    storage = opened()
    payload = Watched(b"1")
    gone = weakref.ref(payload)
    storage.put([Put(payload, [Target("q")])])
    del payload
    gc.disable()
    try:
        storage.change({}, {}, ["q"])

        assert gone() is None
    finally:
        gc.enable()


def test_asking_for_unknown_queues_leaves_nothing_behind() -> None:
    storage = opened()

    storage.depth(["q"])
    storage.peek("q", 1)
    storage.purge("q")
    storage.wait(["q"], 0)
    take(storage)
    storage.reserve_expired("q", 1, "owner", 1)

    assert storage._store.queues == {}
    assert storage._store.owners == {}


def test_a_closed_storage_leaves_no_owner_behind() -> None:
    storage = opened()
    storage.renew("owner", 1000)
    store = storage._store

    storage.close(1)

    assert (store.owners, store.dead) == ({}, {})


def test_a_settled_payload_is_let_go() -> None:
    storage = opened()
    payload = Watched(b"1")
    gone = weakref.ref(payload)
    storage.put([Put(payload, [Target("q")])])
    del payload
    held = [record.token for record in take(storage)]
    assert gone() is not None

    storage.settle(held, "owner")

    assert gone() is None


def test_the_numbers_of_the_latest_publishers_are_remembered() -> None:
    storage = opened()
    for number in range(10_001):
        storage.put([], (), (f"publisher {number}", 1))
    storage.put([], (), ("publisher 1", 2))
    storage.put([], (), ("another", 1))

    remembered = storage._store.publishers
    assert len(remembered) == 10_000
    assert "publisher 0" not in remembered
    assert "publisher 2" not in remembered
    assert remembered["publisher 1"] == 2


def test_bytes_are_followed_only_while_somebody_asked_for_them() -> None:
    storage = opened()
    put(storage, b"123", b"45")
    queue = storage._store.queues["q"]
    followed = [queue.bytes]

    assert storage.depth(["q"])[0].size == 5
    put(storage, b"6")
    followed.append(queue.bytes)
    take(storage)
    followed.append(queue.bytes)

    assert followed == [None, 6, None]
    assert storage.depth(["q"])[0].size == 0


def test_what_reserve_expired_takes_is_followed_too() -> None:
    storage = opened()
    put(storage, b"123", b"45", ttl_ms=0)
    storage.depth(["q"])

    storage.reserve_expired("q", 1, "owner", 1000)

    assert storage.depth(["q"])[0].size == 2


# ---------------------------------------------------------------------------------------------- order


class Model:
    """A queue as the contract tells it: a sorted list."""

    def __init__(self) -> None:
        self.ready: list[tuple[int, int]] = []

    def take(self, count: int) -> list[tuple[int, int]]:
        self.ready.sort()
        taken, self.ready = self.ready[:count], self.ready[count:]
        return taken


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 3)),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("release"), st.lists(st.integers(0, 20), max_size=6)),
        st.tuples(st.just("settle"), st.lists(st.integers(0, 20), max_size=3)),
    ),
    max_size=60,
)


@given(steps)
def test_any_mixture_of_puts_takes_and_releases_keeps_the_order(steps: list[tuple[str, Any]]) -> None:
    forget_store("b")
    storage = opened("b")
    model = Model()
    held: dict[Any, tuple[int, int]] = {}
    number = 0
    for step, argument in steps:
        if step == "put":
            number += 1
            put(storage, b"%d" % number, priority=argument)
            model.ready.append((-argument, number))
        elif step == "take":
            taken, expected = take(storage, argument), model.take(argument)
            assert [int(body) for body in bodies(taken)] == [each for _, each in expected]
            held.update({record.token: each for record, each in zip(taken, expected, strict=True)})
        else:
            tokens = [list(held)[index] for index in dict.fromkeys(argument) if index < len(held)]
            back = [held.pop(token) for token in tokens]
            if step == "release":
                assert not storage.release(tokens, "owner")
                model.ready += back
            else:
                assert not storage.settle(tokens, "owner")
    assert storage.depth(["q"])[0][:2] == (len(model.ready), len(held))
    assert [int(body) for body in bodies(take(storage))] == [each for _, each in model.take(1000)]


def test_a_record_released_into_a_long_queue_finds_its_place() -> None:
    storage = opened()
    put(storage, *(b"%d" % number for number in range(1000)))
    held = take(storage, 700)
    storage.release([record.token for record in held[::2]], "owner")

    storage.release([record.token for record in held[1::2]][::-1], "owner")

    assert [int(body) for body in bodies(take(storage))] == list(range(1000))


def test_threads_that_put_and_take_at_once_lose_nothing() -> None:
    storage = opened()
    taken: list[bytes] = []
    end = threading.Event()

    def consume(owner: str) -> None:
        while not end.is_set() or storage.depth(["q"])[0].ready:
            leased = take(storage, 7, owner)
            storage.settle([record.token for record in leased], owner)
            taken.extend(bodies(leased))

    with ThreadPoolExecutor(4) as pool:
        consumers = [pool.submit(consume, f"owner {number}") for number in range(2)]
        producers = [pool.submit(put, storage, *(b"%d" % (part * 2000 + n) for n in range(2000))) for part in range(2)]
        for each in producers:
            each.result(30)
        end.set()
        for each in consumers:
            each.result(30)

    assert sorted(map(int, taken)) == list(range(4000))
