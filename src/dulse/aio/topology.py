"""The verbs of a channel that change exchanges, queues and bindings (AMQP 0-9-1 §3.1.3, §3.1.4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from dulse.model.commands import (
    Arguments,
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
from dulse.model.names import check_name


class TopologyVerbs(ABC):
    """A channel's operations on names; those of Exchange and Queue do the same on descriptions."""

    @abstractmethod
    async def execute(self, command: Command, timeout: float | None = None) -> Any:
        """Change the topology; gives the reply that the command names."""

    async def exchange_declare(
        self,
        exchange: str,
        type: str = "direct",
        passive: bool = False,
        durable: bool = False,
        auto_delete: bool = False,
        nowait: bool = False,
        arguments: Arguments | None = None,
        internal: bool = False,
    ) -> None:
        """Make an exchange, or with `passive` check that it is there."""
        name = check_name("exchange", exchange)
        await self.execute(DeclareExchange(name, type, durable, auto_delete, internal, passive, dict(arguments or {})))

    async def exchange_delete(self, exchange: str, if_unused: bool = False, nowait: bool = False) -> None:
        """Delete an exchange with its bindings; a missing one is no error."""
        await self.execute(DeleteExchange(exchange, if_unused))

    async def exchange_bind(
        self,
        destination: str,
        source: str = "",
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments | None = None,
    ) -> None:
        """Route what reaches `source` and matches on to `destination`."""
        key = check_name("routing key", routing_key)
        await self.execute(BindExchange(destination, source, key, dict(arguments or {})))

    async def exchange_unbind(
        self,
        destination: str,
        source: str = "",
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments | None = None,
    ) -> None:
        """End such a binding; a missing one is no error."""
        await self.execute(UnbindExchange(destination, source, routing_key, dict(arguments or {})))

    async def queue_declare(
        self,
        queue: str = "",
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        nowait: bool = False,
        arguments: Arguments | None = None,
    ) -> QueueDeclared:
        """Make a queue, or with `passive` check that it is there; gives its name, message_count and consumer_count."""
        name = check_name("queue", queue or "")
        command = DeclareQueue(name, durable, exclusive, auto_delete, passive, dict(arguments or {}))
        declared: QueueDeclared = await self.execute(command)
        return declared

    async def queue_bind(
        self,
        queue: str,
        exchange: str = "",
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments | None = None,
    ) -> None:
        """Let a queue have what reaches an exchange and matches."""
        key = check_name("routing key", routing_key)
        await self.execute(BindQueue(queue, exchange, key, dict(arguments or {})))

    async def queue_unbind(
        self,
        queue: str,
        exchange: str = "",
        routing_key: str = "",
        nowait: bool = False,
        arguments: Arguments | None = None,
    ) -> None:
        """End such a binding; a missing one is no error."""
        await self.execute(UnbindQueue(queue, exchange, routing_key, dict(arguments or {})))

    async def queue_purge(self, queue: str, nowait: bool = False) -> int:
        """Delete all messages of a queue that are ready and give their number."""
        return int(await self.execute(PurgeQueue(queue)))

    async def queue_delete(
        self, queue: str, if_unused: bool = False, if_empty: bool = False, nowait: bool = False
    ) -> int:
        """Delete a queue and give the number of messages that went with it; a missing one is no error."""
        return int(await self.execute(DeleteQueue(queue, if_unused, if_empty)))
