"""Commands of the topology as AMQP's methods, and the broker's answers as the replies that the commands name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dulse.amqp.delivery import Delivery
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, exchange, queue
from dulse.model.commands import (
    BindExchange,
    BindQueue,
    Command,
    DeclareExchange,
    DeclareQueue,
    DeleteExchange,
    DeleteQueue,
    PurgeQueue,
    QueueDeclared,
    UnbindExchange,
    UnbindQueue,
)


def method_for(command: Command) -> Method:
    """Give the method that carries out a command; the broker's reply to it goes to `reply_of`."""
    return _METHODS[type(command)](command)


def named(command: DeclareQueue, unique: str) -> DeclareQueue:
    """Give a queue without a name one of our own, ending in `unique`, so that it can come back by it.

    What the broker makes up begins with ``amq.``, and it refuses to declare such a name again (AMQP 0-9-1 §3.1.4.1).
    """
    return command if command.queue or command.passive else command._replace(queue=f"dulse.gen-{unique}")


def reply_of(reply: Method | Delivery) -> Any:
    """Give the reply that a command names for the broker's answer."""
    if isinstance(reply, queue.DeclareOk):
        return QueueDeclared(reply.queue, reply.message_count, reply.consumer_count)
    if isinstance(reply, queue.PurgeOk | queue.DeleteOk):
        return reply.message_count
    return None


def may_repeat(method: Method) -> bool:
    """Tell whether a call that a lost link cut off may be made again, although the broker may have heard the first.

    Not if that leaves something behind: a second queue without a name; a message gone with the reply of a basic.get
    without acknowledgement. A purge or delete that is repeated tells the count of the second time.
    """
    if isinstance(method, queue.Declare):
        return bool(method.queue) or method.exclusive
    return not (isinstance(method, basic.Get) and method.no_ack)


def _declare_exchange(command: DeclareExchange) -> Method:
    return exchange.Declare(
        exchange=command.exchange,
        type=command.type,
        passive=command.passive,
        durable=command.durable,
        auto_delete=command.auto_delete,
        internal=command.internal,
        arguments=command.arguments,
    )


def _declare_queue(command: DeclareQueue) -> Method:
    return queue.Declare(
        queue=command.queue,
        passive=command.passive,
        durable=command.durable,
        exclusive=command.exclusive,
        auto_delete=command.auto_delete,
        arguments=command.arguments,
    )


def _delete_queue(command: DeleteQueue) -> Method:
    return queue.Delete(command.queue, command.if_unused, command.if_empty)


def _bind_exchange(command: BindExchange) -> Method:
    return exchange.Bind(command.destination, command.source, command.routing_key, arguments=command.arguments)


def _unbind_exchange(command: UnbindExchange) -> Method:
    return exchange.Unbind(command.destination, command.source, command.routing_key, arguments=command.arguments)


def _bind_queue(command: BindQueue) -> Method:
    return queue.Bind(command.queue, command.exchange, command.routing_key, arguments=command.arguments)


def _unbind_queue(command: UnbindQueue) -> Method:
    return queue.Unbind(command.queue, command.exchange, command.routing_key, command.arguments)


_METHODS: dict[type, Callable[[Any], Method]] = {
    DeclareExchange: _declare_exchange,
    DeleteExchange: lambda command: exchange.Delete(command.exchange, command.if_unused),
    BindExchange: _bind_exchange,
    UnbindExchange: _unbind_exchange,
    DeclareQueue: _declare_queue,
    DeleteQueue: _delete_queue,
    BindQueue: _bind_queue,
    UnbindQueue: _unbind_queue,
    PurgeQueue: lambda command: queue.Purge(command.queue),
}
