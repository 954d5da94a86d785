"""Declaring and deleting exchanges (AMQP 0-9-1 §3.1.3 and the rules of RabbitMQ)."""

from __future__ import annotations

from dulse.broker import refusals
from dulse.broker.arguments import (
    EXCHANGE_ARGUMENTS,
    assert_same,
    assert_same_arguments,
    check_exchange_arguments,
)
from dulse.broker.catalogue import DEFINITION, Decision, Draft, View, exchange_group
from dulse.broker.definitions import ExchangeDefinition, is_source, read_exchange, write_exchange
from dulse.broker.removal import remove_exchange
from dulse.broker.routing import DELAYED, exchange_types
from dulse.model.commands import DeclareExchange, DeleteExchange
from dulse.model.names import check_name

_DECLARE = "Exchange.declare"
_DELETE = "Exchange.delete"


def declare_exchange(command: DeclareExchange, view: View, _owner: str, _unique: str) -> Decision:
    """Make an exchange, or check that it is there (passive) or the same. Reply: None."""
    name = check_name("exchange name", command.exchange)
    if command.passive:
        return _check_existence(name, view)
    check_exchange_type(command, _DECLARE)
    refuse_default_exchange(name, _DECLARE)
    group = exchange_group(name)
    existing = read_exchange(name, view.part(group).values)
    if existing is not None:
        _assert_equivalent(name, existing, command)
        return Decision(None)
    if name.startswith("amq."):
        text = f"the exchange name {name!r} has the prefix 'amq.', which is reserved for the broker's own"
        raise refusals.access_refused(text, _DECLARE)
    check_exchange_arguments(name, command.arguments, _DECLARE)
    draft = Draft(view)
    draft.write(group, DEFINITION, write_exchange(_definition(command)))
    return draft.decision()


def delete_exchange(command: DeleteExchange, view: View, _owner: str, _unique: str) -> Decision:
    """Delete an exchange; one that is not there is no error. Reply: None."""
    name = check_name("exchange name", command.exchange)
    refuse_default_exchange(name, _DELETE)
    if name.startswith("amq."):
        raise refusals.access_refused(f"the exchange {name!r} is the broker's own and cannot be deleted", _DELETE)
    values = view.group(exchange_group(name)).values
    if read_exchange(name, values) is None:
        return Decision(None)
    if command.if_unused and is_source(values):
        text = f"the exchange {name!r} is in use: it has bindings, and if_unused was asked for"
        raise refusals.precondition_failed(text, _DELETE)
    draft = Draft(view)
    remove_exchange(draft, name)
    return draft.decision()


def check_exchange_type(command: DeclareExchange, method: str) -> None:
    """Raise CommandInvalid (503) for a type that nobody registered."""
    known = (*exchange_types(), DELAYED)
    if command.type not in known:
        text = (
            f"unknown exchange type {command.type!r} for exchange {command.exchange!r}; there are "
            f"{', '.join(sorted(known))}, and those you register with dulse.broker.routing.register_exchange_type"
        )
        raise refusals.command_invalid(text, method)
    if command.type == DELAYED and command.arguments.get("x-delayed-type") not in exchange_types():
        text = f"exchange {command.exchange!r} of type {DELAYED} needs the argument x-delayed-type: an exchange type"
        raise refusals.precondition_failed(text, method)


def refuse_default_exchange(name: str, method: str) -> None:
    """Raise AccessRefused (403) for the default exchange, which nobody may change."""
    if not name:
        raise refusals.access_refused("this operation is not permitted on the default exchange ''", method)


def _check_existence(name: str, view: View) -> Decision:
    if name and read_exchange(name, view.part(exchange_group(name)).values) is None:
        raise refusals.not_found("exchange", name, _DECLARE)
    return Decision(None)


def _definition(command: DeclareExchange) -> ExchangeDefinition:
    return ExchangeDefinition(
        command.type, command.durable, command.auto_delete, command.internal, dict(command.arguments)
    )


def _assert_equivalent(name: str, existing: ExchangeDefinition, command: DeclareExchange) -> None:
    subject = f"exchange {name!r}"
    for attribute in ("type", "durable", "auto_delete", "internal"):
        assert_same(subject, attribute, getattr(existing, attribute), getattr(command, attribute), _DECLARE)
    names = (*EXCHANGE_ARGUMENTS, "x-delayed-type") if command.type == DELAYED else EXCHANGE_ARGUMENTS
    assert_same_arguments(subject, names, existing.arguments, command.arguments, _DECLARE)
