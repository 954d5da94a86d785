"""The one door to the decisions about commands: which function decides which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dulse.broker.bindings import bind_exchange, bind_queue, unbind_exchange, unbind_queue
from dulse.broker.catalogue import Decision, View
from dulse.broker.exchanges import declare_exchange, delete_exchange
from dulse.broker.queues import declare_queue, delete_queue, purge_queue
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

_DECIDERS: Mapping[type[Command], Callable[[Any, View, str, str], Decision]] = {
    DeclareExchange: declare_exchange,
    DeleteExchange: delete_exchange,
    BindExchange: bind_exchange,
    UnbindExchange: unbind_exchange,
    DeclareQueue: declare_queue,
    DeleteQueue: delete_queue,
    BindQueue: bind_queue,
    UnbindQueue: unbind_queue,
    PurgeQueue: purge_queue,
}


def decide(command: Command, view: View, owner: str, unique: str) -> Decision:
    """Decide what a command changes and what the answer is.

    `owner` is the connection that asks; `unique` names a queue that is declared without a name, and must be the same
    when the decision is made again. Raises the ChannelError with which RabbitMQ would answer, `NeedGroups` and
    `NeedDepth`. The reply is what the command says, but for PurgeQueue: see `purge_queue`.
    """
    return _DECIDERS[type(command)](command, view, owner, unique)
