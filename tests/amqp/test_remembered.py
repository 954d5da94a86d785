"""What would vanish with us is remembered, and nothing else."""

from __future__ import annotations

import pytest

from dulse.amqp.method import Method
from dulse.amqp.methods import basic, confirm, exchange, queue
from dulse.amqp.remembered import Remembered
from dulse.model.commands import (
    BindExchange,
    BindQueue,
    Command,
    DeclareExchange,
    DeclareQueue,
    DeleteExchange,
    DeleteQueue,
    PurgeQueue,
    UnbindExchange,
    UnbindQueue,
)


def told(*commands: Command) -> Remembered:
    remembered = Remembered()
    remembered.open_channel(1, confirms=True)
    for each in commands:
        remembered.note(each)
    return remembered


def names(remembered: Remembered) -> list[str]:
    return [
        f"{each.name} {getattr(each, 'queue', '') or getattr(each, 'exchange', '')}" for each in topology(remembered)
    ]


def topology(remembered: Remembered) -> list[Method]:
    return remembered.topology()


OWN = DeclareQueue("own", exclusive=True)
FADING = DeclareQueue("fading", auto_delete=True)
BRIEF = DeclareExchange("brief", auto_delete=True)


@pytest.mark.parametrize(
    "command",
    [
        OWN,
        FADING,
        BRIEF,
        DeclareQueue("q", durable=False),
        DeclareQueue("q", arguments={"x-expires": 1000}),
        DeclareExchange("e", durable=False),
    ],
)
def test_what_may_vanish_comes_back(command: Command) -> None:
    assert len(topology(told(command))) == 1


@pytest.mark.parametrize(
    "command",
    [
        DeclareQueue("q"),
        DeclareExchange("e"),
        DeclareQueue("q", exclusive=True, passive=True),
        DeclareExchange("e", auto_delete=True, passive=True),
        BindQueue("q", "e", "k"),
        PurgeQueue("q"),
    ],
)
def test_what_the_broker_keeps_is_left_to_it(command: Command) -> None:
    assert topology(told(command)) == []


def test_bindings_come_back_behind_what_they_bind() -> None:
    remembered = told(OWN, BindQueue("own", "lasting", "k"), BRIEF, BindExchange("brief", "lasting", "k", {"a": 1}))
    assert topology(remembered) == [
        exchange.Declare("brief", durable=True, auto_delete=True),
        queue.Declare("own", durable=True, exclusive=True),
        queue.Bind("own", "lasting", "k"),
        exchange.Bind("brief", "lasting", "k", arguments={"a": 1}),
    ]


def test_a_binding_made_twice_comes_back_once_and_one_with_other_arguments_besides() -> None:
    remembered = told(OWN, *[BindQueue("own", "e", "k")] * 2, BindQueue("own", "e", "k", {"x-match": "any"}))
    assert len(topology(remembered)) == 3


def test_what_is_deleted_or_unbound_does_not_come_back() -> None:
    bound = told(OWN, BindQueue("own", "e", "k"), BindQueue("own", "e", "l"), UnbindQueue("own", "e", "k"))
    assert [each for each in topology(bound) if isinstance(each, queue.Bind)] == [queue.Bind("own", "e", "l")]
    bound.note(DeleteQueue("own"))
    assert topology(bound) == []
    bound.note(BRIEF)
    bound.note(BindExchange("brief", "e", "k"))
    bound.note(DeleteExchange("brief"))
    assert topology(bound) == []


def test_with_an_exchange_go_the_bindings_from_it_alone() -> None:
    remembered = told(BRIEF, OWN, BindQueue("own", "brief", "k"), BindQueue("own", "other", "k"))
    remembered.note(DeleteExchange("brief"))
    assert topology(remembered)[1:] == [queue.Bind("own", "other", "k")]


def test_an_auto_delete_exchange_goes_with_its_last_binding() -> None:
    remembered = told(
        BRIEF, BindQueue("q", "brief", "k"), BindExchange("e", "brief", "k"), UnbindQueue("q", "brief", "k")
    )
    assert names(remembered) == ["exchange.declare brief", "exchange.bind "]
    remembered.note(UnbindExchange("e", "brief", "k"))
    assert topology(remembered) == []


def test_an_auto_delete_queue_goes_with_its_last_consumer_wherever_that_was() -> None:
    remembered = told(FADING, BindQueue("fading", "e", "k"))
    remembered.open_channel(2, confirms=False)
    remembered.consume(1, basic.Consume("fading", "a"))
    remembered.consume(2, basic.Consume("fading", "b"))
    remembered.cancel(1, "a")
    assert len(topology(remembered)) == 2
    remembered.close_channel(2)
    assert topology(remembered) == []


def test_an_exclusive_queue_stays_without_consumers() -> None:
    remembered = told(OWN)
    remembered.consume(1, basic.Consume("own", "a"))
    remembered.cancel(1, "a")
    remembered.close_channel(1)
    assert names(remembered) == ["queue.declare own"]


def test_a_channel_comes_back_with_confirms_and_both_bounds() -> None:
    remembered = told()
    remembered.prefetch(1, 5, shared=False)
    remembered.prefetch(1, 50, shared=True)
    assert remembered.channels[1].methods() == [
        confirm.Select(),
        basic.Qos(prefetch_count=50, global_=True),
        basic.Qos(prefetch_count=5),
    ]


def test_a_channel_without_bounds_or_confirms_comes_back_plain() -> None:
    remembered = told()
    remembered.open_channel(2, confirms=False)
    assert (remembered.channels[1].methods(), remembered.channels[2].methods()) == ([confirm.Select()], [])


def test_a_consumer_comes_back_with_the_prefetch_it_was_started_with() -> None:
    remembered = told()
    method = basic.Consume("q", "a", arguments={"x-priority": 3})
    remembered.prefetch(1, 5, shared=False)
    remembered.consume(1, method)
    assert remembered.channels[1].starts("a") == [method]
    remembered.prefetch(1, 7, shared=False)
    assert remembered.channels[1].starts("a") == [basic.Qos(prefetch_count=5), method, basic.Qos(prefetch_count=7)]


def test_a_consumer_that_ended_and_a_channel_that_closed_are_forgotten_quietly() -> None:
    remembered = told()
    remembered.consume(1, basic.Consume("q", "a"))
    remembered.cancel(1, "a")
    remembered.cancel(1, "a")
    remembered.close_channel(1)
    remembered.close_channel(1)
    remembered.cancel(1, "a")
    assert remembered.channels == {}
