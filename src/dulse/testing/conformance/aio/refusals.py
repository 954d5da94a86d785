"""Uses of what a transport may lack: where it is not declared, each must raise NotSupported."""

from __future__ import annotations

from dulse.testing.conformance.aio.broker import Broker


async def topic_exchange(broker: Broker) -> None:
    """Declare an exchange of type topic."""
    await broker.exchange("topic")


async def fanout_exchange(broker: Broker) -> None:
    """Declare an exchange of type fanout."""
    await broker.exchange("fanout")


async def headers_exchange(broker: Broker) -> None:
    """Declare an exchange of type headers."""
    await broker.exchange("headers")


async def priority(broker: Broker) -> None:
    """Declare a queue that has priorities."""
    await broker.queue(max_priority=10)


async def delay(broker: Broker) -> None:
    """Publish a message that is to be delivered later."""
    queue = await broker.queue()
    await broker.send(queue, "later", delay=1)


async def delayed_expiration(broker: Broker) -> None:
    """Publish a message that is to be delivered later and not to live for ever."""
    queue = await broker.queue()
    await broker.send(queue, "later", delay=1, expiration=1)


async def peek(broker: Broker) -> None:
    """Look at a queue from outside."""
    queue = await broker.queue()
    await broker.main.manager.peek(queue.name)
