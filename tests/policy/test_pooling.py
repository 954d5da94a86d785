from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dulse import errors
from dulse.policy.pooling import Actions, Closed, Create, Give, PoolState, Refuse, Waiter

PARENT, CHILD = 100, 101


class Thing:
    """A resource that is equal to every other one, and cannot be hashed."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def waiter() -> Waiter[Thing]:
    return Waiter(lambda: None)


def pool(limit: int | None, *, in_use: int = 0, idle: int = 0) -> tuple[PoolState[Thing], list[Thing], list[Thing]]:
    """A pool in the wished state, what is in use and what is idle (the one to be given next at the end)."""
    state: PoolState[Thing] = PoolState(limit, PARENT)
    things = [Thing() for _ in range(in_use + idle)]
    for thing in things:
        assert state.acquire() == Create()
        state.created(thing)
    for thing in things[in_use:]:
        state.release(thing)
    return state, things[:in_use], things[in_use:]


def given(outcome: object) -> Thing:
    assert isinstance(outcome, Give)
    resource = outcome.resource
    assert isinstance(resource, Thing)
    return resource


def test_an_empty_pool_has_a_resource_made() -> None:
    state, _, _ = pool(2)

    assert state.acquire() == Create()
    assert state.in_use == 1


def test_what_was_given_back_last_is_given_out_first() -> None:
    state, _, idle = pool(3, idle=3)

    assert given(state.acquire()) is idle[2]
    assert given(state.acquire()) is idle[1]


def test_a_pool_at_its_limit_refuses_who_does_not_wait() -> None:
    state, _, _ = pool(2, in_use=2)

    assert state.acquire() == Refuse(2)


def test_a_resource_being_made_counts_towards_the_limit() -> None:
    state, _, _ = pool(1)
    state.acquire()

    assert state.acquire() == Refuse(1)


def test_those_who_wait_are_served_in_their_order() -> None:
    state, used, _ = pool(2, in_use=2)
    first, second = waiter(), waiter()
    assert state.acquire(first) is None
    assert state.acquire(second) is None

    assert state.release(used[0]).served == [first]
    assert state.release(used[1]).served == [second]

    assert given(first.outcome) is used[0]
    assert given(second.outcome) is used[1]


def test_nobody_overtakes_those_who_wait() -> None:
    state, used, _ = pool(1, in_use=1)
    first = waiter()
    state.acquire(first)
    state.release(used[0])

    assert state.acquire() == Refuse(1)


def test_a_failure_to_make_one_gives_the_place_to_the_next_in_line() -> None:
    state, _, _ = pool(1)
    state.acquire()
    first = waiter()
    state.acquire(first)

    assert state.failed().served == [first]
    assert first.outcome == Create()
    assert state.in_use == 1


def test_a_broken_resource_is_closed_and_its_place_goes_to_the_next_in_line() -> None:
    state, used, _ = pool(1, in_use=1)
    first = waiter()
    state.acquire(first)

    actions = state.discard(used[0])

    assert (actions.close, actions.served) == (used, [first])
    assert first.outcome == Create()


def test_one_who_gives_up_is_not_served() -> None:
    state, used, _ = pool(1, in_use=1)
    first, second = waiter(), waiter()
    state.acquire(first)
    state.acquire(second)

    assert state.give_up(first) is None
    assert state.release(used[0]).served == [second]


def test_one_who_was_served_at_the_last_moment_gives_up_in_vain() -> None:
    state, used, _ = pool(1, in_use=1)
    first = waiter()
    state.acquire(first)
    state.release(used[0])

    assert given(state.give_up(first)) is used[0]


def test_a_resource_given_back_twice_is_in_the_pool_once() -> None:
    state, used, _ = pool(2, in_use=1)

    state.release(used[0])

    assert not state.release(used[0])
    assert not state.discard(used[0])
    assert (state.idle, state.in_use) == (1, 0)


@pytest.mark.parametrize("limit", [None, 0])
def test_without_a_limit_nothing_is_kept(limit: int | None) -> None:
    state, used, _ = pool(limit, in_use=3)

    assert state.acquire() == Create()
    assert state.release(used[1]).close == [used[1]]
    assert state.idle == 0


def test_a_pool_may_be_stocked_as_far_as_there_is_room() -> None:
    state, _, _ = pool(2, in_use=1)
    kept, surplus = Thing(), Thing()

    assert not state.stock(kept)
    assert state.stock(surplus).close == [surplus]
    assert given(state.acquire()) is kept


def test_what_was_stocked_is_given_out_after_what_was_given_back() -> None:
    state, _, idle = pool(2, idle=1)
    stocked = Thing()

    state.stock(stocked)

    assert given(state.acquire()) is idle[0]
    assert given(state.acquire()) is stocked


def test_a_grown_pool_serves_those_who_wait() -> None:
    state, _, _ = pool(1, in_use=1)
    first, second, third = waiter(), waiter(), waiter()
    for one in (first, second, third):
        state.acquire(one)

    assert state.resize(3).served == [first, second]
    assert third.outcome is None


def test_a_shrunken_pool_closes_the_idle_ones_that_are_too_many_and_keeps_the_last_used() -> None:
    state, _, idle = pool(4, in_use=1, idle=3)

    actions = state.resize(2)

    assert actions.close == idle[:2]
    assert given(state.acquire()) is idle[2]


def test_a_pool_does_not_shrink_below_what_is_in_use() -> None:
    state, _, _ = pool(3, in_use=3)

    with pytest.raises(errors.InvalidArgument, match="cannot have 2 places while 3 resources are in use"):
        state.resize(2)

    assert state.limit == 3


def test_a_pool_that_ignores_what_is_in_use_closes_it_as_it_comes_back() -> None:
    state, used, _ = pool(3, in_use=3)

    assert not state.resize(1, ignore_errors=True)

    assert state.release(used[0]).close == [used[0]]
    assert state.release(used[1]).close == [used[1]]
    assert not state.release(used[2])
    assert state.idle == 1


def test_a_pool_shrunk_by_force_closes_everything_at_once() -> None:
    state, used, idle = pool(3, in_use=2, idle=1)

    assert state.resize(1, force=True).close == [*idle, *used]
    assert not state.release(used[0])
    assert (state.idle, state.in_use) == (0, 0)


def test_force_closes_nothing_that_fits() -> None:
    state, _, idle = pool(3, in_use=1, idle=2)

    assert state.resize(2, force=True).close == idle[:1]


def test_a_reset_closes_everything() -> None:
    state, used, idle = pool(3, in_use=1, idle=2)

    assert state.resize(3, reset=True).close == [*idle, *used]


def test_a_closed_pool_closes_everything_and_tells_those_who_wait() -> None:
    state, used, _ = pool(1, in_use=1)
    first = waiter()
    state.acquire(first)

    actions = state.close()

    assert (actions.close, actions.served) == (used, [first])
    assert first.outcome == Closed()


def test_a_closed_pool_gives_nothing() -> None:
    state, _, _ = pool(1)
    state.close()

    with pytest.raises(errors.ConnectionClosed, match="The pool is closed"):
        state.acquire()


def test_what_is_made_for_a_pool_closed_meanwhile_is_closed() -> None:
    state, _, _ = pool(1)
    state.acquire()
    state.close()
    late = Thing()

    assert state.created(late).close == [late]
    assert state.stock(late).close == [late]


def test_a_closed_pool_opens_with_a_new_limit() -> None:
    state, _, _ = pool(1)
    state.close()

    state.resize(1)

    assert state.acquire() == Create()


def test_a_forked_child_inherits_nothing_but_the_limit() -> None:
    state, used, _ = pool(2, in_use=1)
    state.acquire()
    state.acquire(waiter())

    assert state.adopt(CHILD) == used

    assert (state.limit, state.idle, state.in_use, state.waiting) == (2, 0, 0, 0)
    assert state.adopt(CHILD) == []


def test_the_same_process_keeps_everything() -> None:
    state, _, _ = pool(3, in_use=1, idle=1)

    assert state.adopt(PARENT) == []
    assert (state.idle, state.in_use) == (1, 1)


def test_a_pool_says_how_it_stands() -> None:
    state, _, _ = pool(2, in_use=2)
    state.acquire(waiter())

    assert repr(state) == "<PoolState limit 2, 0 idle, 2 in use, 1 waiting>"
    state.close()
    assert repr(state) == "<PoolState closed, 0 idle, 0 in use, 0 waiting>"


class AnyUseOfAPool(RuleBasedStateMachine):
    """At most `limit` resources, none with two users, none lost, and nobody waits for what could be had."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 2
        self.state: PoolState[object] = PoolState(self.limit, PARENT)
        self.making = 0
        self.users: list[object] = []
        self.line: list[Waiter[Any]] = []

    def act(self, actions: Actions[object]) -> None:
        for served in actions.served:
            assert self.line.pop(0) is served
            self.take(served.outcome)

    def take(self, outcome: Give[object] | Create | Closed | Refuse | None) -> None:
        if isinstance(outcome, Give):
            assert all(outcome.resource is not user for user in self.users)
            self.users.append(outcome.resource)
        self.making += isinstance(outcome, Create)

    @rule()
    def acquire(self) -> None:
        self.take(self.state.acquire())

    @rule()
    def wait(self) -> None:
        one: Waiter[object] = Waiter(lambda: None)
        outcome = self.state.acquire(one)
        self.take(outcome)
        if outcome is None:
            self.line.append(one)

    @precondition(lambda self: self.making)
    @rule(works=st.booleans())
    def make(self, works: bool) -> None:
        self.making -= 1
        if works:
            resource = object()
            self.users.append(resource)
            self.act(self.state.created(resource))
        else:
            self.act(self.state.failed())

    @precondition(lambda self: self.users)
    @rule(data=st.data(), broken=st.booleans())
    def give_back(self, data: st.DataObject, broken: bool) -> None:
        resource = self.users.pop(data.draw(st.integers(0, len(self.users) - 1)))
        actions = self.state.discard(resource) if broken else self.state.release(resource)
        assert not broken or actions.close == [resource]
        self.act(actions)

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        one = self.line.pop(data.draw(st.integers(0, len(self.line) - 1)))
        assert self.state.give_up(one) is None

    @rule(limit=st.integers(1, 4))
    def resize(self, limit: int) -> None:
        self.limit = limit
        self.act(self.state.resize(limit, ignore_errors=True))

    @invariant()
    def the_pool_knows_its_users(self) -> None:
        assert self.state.in_use == len(self.users) + self.making
        assert self.state.waiting == len(self.line)

    @invariant()
    def there_are_at_most_as_many_as_allowed(self) -> None:
        assert self.state.idle + self.state.in_use <= max(self.limit, self.state.in_use)

    @invariant()
    def nobody_waits_for_what_could_be_had(self) -> None:
        assert not self.line or (self.state.idle == 0 and self.state.in_use >= self.limit)


TestAnyUseOfAPool = AnyUseOfAPool.TestCase
TestAnyUseOfAPool.settings = settings(max_examples=200, stateful_step_count=30)
