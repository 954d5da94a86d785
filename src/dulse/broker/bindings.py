"""Binding queues and exchanges to exchanges, and taking bindings away (AMQP 0-9-1 §3.1.4.2)."""

from __future__ import annotations

from dulse.broker import refusals
from dulse.broker.arguments import check_match_argument
from dulse.broker.catalogue import DEFINED, Decision, Draft, View, exchange_group, queue_group
from dulse.broker.definitions import PRESENT, BoundTo, field_from, field_to, read_exchange, read_queue
from dulse.broker.exchanges import refuse_default_exchange
from dulse.broker.queues import check_access
from dulse.broker.removal import destination_group, remove_binding
from dulse.broker.topology import routing_type
from dulse.model.commands import BindExchange, BindQueue, UnbindExchange, UnbindQueue
from dulse.model.names import check_name

_BIND_QUEUE = "Queue.bind"
_BIND_EXCHANGE = "Exchange.bind"


def bind_queue(command: BindQueue, view: View, owner: str, _unique: str) -> Decision:
    """Bind a queue to an exchange; a binding that is there already is no error. Reply: None."""
    refuse_default_exchange(command.exchange, _BIND_QUEUE)
    binding = BoundTo("queue", command.queue, command.routing_key, command.arguments)
    _require_ends(view, command.exchange, binding)
    check_access(view, command.queue, owner, _BIND_QUEUE)
    return _bind(view, command.exchange, binding, _BIND_QUEUE)


def bind_exchange(command: BindExchange, view: View, _owner: str, _unique: str) -> Decision:
    """Bind an exchange to another; a binding that is there already is no error. Reply: None."""
    for name in (command.source, command.destination):
        refuse_default_exchange(name, _BIND_EXCHANGE)
    binding = BoundTo("exchange", command.destination, command.routing_key, command.arguments)
    _require_ends(view, command.source, binding)
    if read_exchange(command.destination, view.part(exchange_group(command.destination)).values) is None:
        raise refusals.not_found("exchange", command.destination, _BIND_EXCHANGE)
    return _bind(view, command.source, binding, _BIND_EXCHANGE)


def unbind_queue(command: UnbindQueue, view: View, owner: str, _unique: str) -> Decision:
    """Take a binding of a queue away; one that is not there is no error. Reply: None."""
    method = "Queue.unbind"
    refuse_default_exchange(command.exchange, method)
    binding = BoundTo("queue", command.queue, command.routing_key, command.arguments)
    _require_ends(view, command.exchange, binding)
    if read_queue(view.part(queue_group(command.queue)).values) is None:
        return Decision(None)
    check_access(view, command.queue, owner, method)
    return _unbind(view, command.exchange, binding)


def unbind_exchange(command: UnbindExchange, view: View, _owner: str, _unique: str) -> Decision:
    """Take a binding between exchanges away; one that is not there is no error. Reply: None."""
    for name in (command.source, command.destination):
        refuse_default_exchange(name, "Exchange.unbind")
    binding = BoundTo("exchange", command.destination, command.routing_key, command.arguments)
    _require_ends(view, command.source, binding)
    return _unbind(view, command.source, binding)


def _require_ends(view: View, source: str, binding: BoundTo) -> None:
    """Ask for what counts of both ends of a binding, however many others they have."""
    further = {
        exchange_group(source): DEFINED | {field_to(*binding)},
        destination_group(binding): DEFINED | {field_from(source, binding.routing_key, binding.arguments)},
    }
    if destination_group(binding) == exchange_group(source):  # an exchange may be bound to itself
        further = {exchange_group(source): DEFINED | {field_to(*binding), field_from(source, *binding[2:])}}
    view.require((), further)


def _bind(view: View, source: str, binding: BoundTo, method: str) -> Decision:
    check_name("routing key", binding.routing_key)
    definition = read_exchange(source, view.part(exchange_group(source)).values)
    if definition is None:
        raise refusals.not_found("exchange", source, method)
    if routing_type(definition) == "headers":
        check_match_argument(source, binding.arguments, method)
    draft = Draft(view)
    field = field_to(*binding)
    if not draft.holds(exchange_group(source), field):
        draft.write(exchange_group(source), field, PRESENT)
        end = destination_group(binding)
        draft.write(end, field_from(source, binding.routing_key, binding.arguments), PRESENT)
    return draft.decision()


def _unbind(view: View, source: str, binding: BoundTo) -> Decision:
    draft = Draft(view)
    remove_binding(draft, source, binding)
    return draft.decision()
