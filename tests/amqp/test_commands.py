"""Commands become AMQP's methods, and answers the replies that commands name."""

from __future__ import annotations

import pytest

from dulse.amqp.commands import may_repeat, method_for, named, reply_of
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, exchange, queue
from dulse.model import commands
from dulse.model.commands import Command, QueueDeclared

EVERY: list[tuple[Command, Method]] = [
    (
        commands.DeclareExchange("e", "topic", False, True, True, True, {"a": 1}),
        exchange.Declare(
            "e", "topic", passive=True, durable=False, auto_delete=True, internal=True, arguments={"a": 1}
        ),
    ),
    (commands.DeleteExchange("e", True), exchange.Delete("e", if_unused=True)),
    (commands.BindExchange("d", "s", "k", {"a": 1}), exchange.Bind("d", "s", "k", arguments={"a": 1})),
    (commands.UnbindExchange("d", "s", "k", {"a": 1}), exchange.Unbind("d", "s", "k", arguments={"a": 1})),
    (
        commands.DeclareQueue("q", False, True, False, True, {"a": 1}),
        queue.Declare("q", passive=True, durable=False, exclusive=True, auto_delete=False, arguments={"a": 1}),
    ),
    (commands.DeclareQueue("q", auto_delete=True), queue.Declare("q", durable=True, auto_delete=True)),
    (commands.DeleteQueue("q", True, False), queue.Delete("q", if_unused=True)),
    (commands.DeleteQueue("q", False, True), queue.Delete("q", if_empty=True)),
    (commands.BindQueue("q", "e", "k", {"a": 1}), queue.Bind("q", "e", "k", arguments={"a": 1})),
    (commands.UnbindQueue("q", "e", "k", {"a": 1}), queue.Unbind("q", "e", "k", arguments={"a": 1})),
    (commands.PurgeQueue("q"), queue.Purge("q")),
]


@pytest.mark.parametrize(("command", "method"), EVERY, ids=lambda each: type(each).__name__)
def test_a_command_becomes_its_method(command: Command, method: Method) -> None:
    assert method_for(command) == method
    assert type(method).decode(method_for(command).encode()) == method


def test_answers_become_the_replies_that_commands_name() -> None:
    assert reply_of(queue.DeclareOk("q", 3, 1)) == QueueDeclared("q", 3, 1)
    assert (reply_of(queue.PurgeOk(4)), reply_of(queue.DeleteOk(5)), reply_of(queue.BindOk())) == (4, 5, None)


def test_a_queue_without_a_name_gets_one_by_which_it_can_come_back() -> None:
    declared = named(commands.DeclareQueue("", exclusive=True), "1f")
    assert (declared.queue, declared.exclusive) == ("dulse.gen-1f", True)


def test_a_name_that_is_given_stays_and_passive_makes_none_up() -> None:
    assert named(commands.DeclareQueue("q"), "1f").queue == "q"
    assert not named(commands.DeclareQueue("", passive=True), "1f").queue


@pytest.mark.parametrize(
    ("method", "allowed"),
    [
        (queue.Declare("q"), True),
        (queue.Declare("", exclusive=True), True),
        (queue.Declare(""), False),
        (basic.Get("q"), True),
        (basic.Get("q", no_ack=True), False),
        (queue.Delete("q"), True),
        (exchange.Bind("d", "s"), True),
    ],
)
def test_what_leaves_something_behind_is_not_repeated(method: Method, allowed: bool) -> None:
    assert may_repeat(method) is allowed
