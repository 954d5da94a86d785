"""Pools of a program's own things."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from dulse import errors
from dulse.aio.resource import Resource
from dulse.links.waiting.aio import Event, sleep, spawn


class Thing:
    """A member that knows whether it was closed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_closed = False
        self.release: Any = None

    async def close(self) -> None:
        self.is_closed = True


class Things(Resource[Thing]):
    """A pool that numbers its members."""

    def __init__(self, limit: int | None = None, preload: int | None = None) -> None:
        self.made: list[Thing] = []
        self.failures: list[Exception] = []
        self.set_up = 0
        super().__init__(limit, preload)

    async def new(self) -> Thing:
        await sleep(0)
        if self.failures:
            raise self.failures.pop()
        self.made.append(Thing(len(self.made)))
        return self.made[-1]

    def setup(self) -> None:
        self.set_up += 1


async def test_a_member_is_made_when_it_is_asked_for() -> None:
    pool = Things(2)
    assert pool.made == []
    thing = await pool.acquire()
    assert pool.made == [thing]


async def test_the_member_given_back_last_is_given_out_first() -> None:
    pool = Things(2)
    first, second = await pool.acquire(), await pool.acquire()
    await pool.release(first)
    await pool.release(second)
    assert await pool.acquire() is second
    assert await pool.acquire() is first


async def test_a_member_knows_how_to_be_given_back() -> None:
    pool = Things(1)
    thing = await pool.acquire()
    await thing.release()
    assert await pool.acquire() is thing


async def test_a_member_given_back_twice_is_in_the_pool_once() -> None:
    pool = Things(2)
    thing = await pool.acquire()
    await thing.release()
    await thing.release()
    assert await pool.acquire() is thing
    assert await pool.acquire() is not thing


async def test_an_empty_pool_refuses_at_once_unless_it_may_wait() -> None:
    pool = Things(1)
    await pool.acquire()
    with pytest.raises(errors.LimitExceeded, match="all 1 members of Things"):
        await pool.acquire()
    assert issubclass(errors.LimitExceeded, TimeoutError)


async def test_waiting_for_a_member_ends_at_the_deadline() -> None:
    pool = Things(1)
    await pool.acquire()
    with pytest.raises(errors.LimitExceeded):
        await pool.acquire(block=True, timeout=0.01)


async def test_one_who_gave_up_waiting_gets_nothing() -> None:
    pool = Things(1)
    thing = await pool.acquire()
    with pytest.raises(errors.LimitExceeded):
        await pool.acquire(block=True, timeout=0.01)
    await thing.release()
    assert await pool.acquire() is thing


async def test_a_negative_timeout_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="-1"):
        await Things(1).acquire(block=True, timeout=-1)


async def test_one_who_waits_gets_what_is_given_back() -> None:
    pool = Things(1)
    thing = await pool.acquire()
    got: list[Thing] = []

    async def wait() -> None:
        got.append(await pool.acquire(block=True, timeout=10))

    waiting = spawn(wait, "waiting")
    while "1 waiting" not in repr(pool):
        await sleep(0.001)
    await thing.release()
    assert await waiting.join(10)
    assert got == [thing]


async def test_those_who_wait_are_served_in_their_order() -> None:
    pool = Things(1)
    thing = await pool.acquire()
    served: list[int] = []

    async def wait(number: int) -> None:
        got = await pool.acquire(block=True, timeout=10)
        served.append(number)
        await got.release()

    waiting = []
    for number in range(5):
        waiting.append(spawn(partial(wait, number), f"waiting {number}"))
        while f"{number + 1} waiting" not in repr(pool):
            await sleep(0.001)
    await thing.release()
    for each in waiting:
        assert await each.join(10)
    assert served == [0, 1, 2, 3, 4]


async def test_the_limit_holds_exactly_however_many_want_something() -> None:
    pool = Things(7)
    out: list[int] = []
    most: list[int] = []
    done: list[int] = []

    async def work() -> None:
        for _ in range(5):
            thing = await pool.acquire(block=True, timeout=60)
            out.append(thing.number)
            most.append(len(out))
            await sleep(0)
            out.remove(thing.number)
            await thing.release()
        done.append(1)

    workers = [spawn(work, f"worker {number}") for number in range(200)]
    for each in workers:
        assert await each.join(60)
    assert len(done) == 200
    assert max(most) <= 7
    assert len(pool.made) <= 7


async def test_a_member_that_cannot_be_made_leaves_its_place_to_others() -> None:
    pool = Things(1)
    pool.failures.append(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        await pool.acquire()
    assert (await pool.acquire()).number == 0


async def test_a_member_that_cannot_be_prepared_is_closed() -> None:
    class Picky(Things):
        def prepare(self, resource: Thing) -> Thing:
            raise ValueError("not ready")

    pool = Picky(1)
    with pytest.raises(ValueError, match="not ready"):
        await pool.acquire()
    assert pool.made[0].is_closed
    assert "0 in use" in repr(pool)


async def test_preparing_must_give_the_same_member() -> None:
    class Odd(Things):
        def prepare(self, resource: Thing) -> Thing:
            return Thing(99)

    with pytest.raises(errors.InvalidArgument, match=r"Odd\.prepare"):
        await Odd(1).acquire()


async def test_a_broken_member_is_replaced() -> None:
    pool = Things(1)
    broken = await pool.acquire()
    await pool.replace(broken)
    assert broken.is_closed
    assert await pool.acquire() is not broken


async def test_without_a_limit_nothing_is_kept() -> None:
    pool = Things()
    first, second = await pool.acquire(), await pool.acquire()
    await pool.release(first)
    assert first.is_closed
    assert not second.is_closed
    assert await pool.acquire() is not first


@pytest.mark.parametrize("limit", [-1, True, False])
def test_a_limit_that_makes_no_sense_is_refused(limit: int) -> None:
    with pytest.raises(errors.InvalidArgument, match=repr(limit)):
        Things(limit)


async def test_some_members_may_be_made_ahead() -> None:
    pool = Things(3, preload=2)
    assert pool.made == []
    await pool.acquire()
    assert len(pool.made) == 2


async def test_raising_the_limit_serves_those_who_wait() -> None:
    pool = Things(1)
    await pool.acquire()
    served = Event()

    async def wait() -> None:
        await pool.acquire(block=True, timeout=10)
        served.set()

    waiting = spawn(wait, "waiting")
    while "1 waiting" not in repr(pool):
        await sleep(0.001)
    await pool.resize(2)
    assert await served.wait(10)
    assert await waiting.join(10)
    assert pool.set_up == 2


async def test_lowering_the_limit_closes_what_is_too_many_as_it_comes_back() -> None:
    pool = Things(2)
    first, second = await pool.acquire(), await pool.acquire()
    with pytest.raises(errors.InvalidArgument, match="force=True"):
        await pool.resize(1)
    await pool.resize(1, ignore_errors=True)
    await first.release()
    assert first.is_closed
    await second.release()
    assert not second.is_closed


async def test_lowering_the_limit_by_force_closes_everything() -> None:
    pool = Things(2)
    first, second = await pool.acquire(), await pool.acquire()
    await pool.resize(1, force=True)
    assert first.is_closed
    assert second.is_closed


async def test_the_limit_may_be_assigned() -> None:
    pool = Things(3)
    things = [await pool.acquire() for _ in range(3)]
    for thing in things:
        await thing.release()
    pool.limit = 1
    assert pool.limit == 1
    await (await pool.acquire()).release()
    assert [thing.is_closed for thing in things].count(True) == 2


async def test_a_closed_pool_gives_nothing() -> None:
    pool = Things(2)
    idle, busy = await pool.acquire(), await pool.acquire()
    await idle.release()
    await pool.force_close_all()
    assert idle.is_closed
    assert busy.is_closed
    with pytest.raises(errors.ConnectionClosed, match="closed"):
        await pool.acquire()


async def test_closing_a_pool_tells_those_who_wait() -> None:
    pool = Things(1)
    await pool.acquire()
    told: list[Exception] = []

    async def wait() -> None:
        try:
            await pool.acquire(block=True, timeout=10)
        except errors.ConnectionClosed as closed:
            told.append(closed)

    waiting = spawn(wait, "waiting")
    while "1 waiting" not in repr(pool):
        await sleep(0.001)
    await pool.force_close_all()
    assert await waiting.join(10)
    assert len(told) == 1


async def test_the_members_alone_may_be_closed() -> None:
    pool = Things(1)
    thing = await pool.acquire()
    await pool.force_close_all(close_pool=False)
    assert thing.is_closed
    assert not (await pool.acquire()).is_closed


async def test_a_member_that_was_taken_away_is_not_taken_back() -> None:
    pool = Things(1)
    thing = await pool.acquire()
    await pool.force_close_all(close_pool=False)
    await thing.release()
    assert await pool.acquire() is not thing


async def test_one_that_cannot_be_closed_does_not_keep_the_others_open() -> None:
    class Stubborn(Thing):
        async def close(self) -> None:
            raise ValueError("stuck")

    pool = Things(3)
    things = [await pool.acquire() for _ in range(2)]
    things[0].__class__ = Stubborn
    with pytest.raises(ValueError, match="stuck"):
        await pool.force_close_all()
    assert things[1].is_closed
