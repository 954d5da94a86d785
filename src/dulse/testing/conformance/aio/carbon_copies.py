"""Headers CC and BCC bring further routing keys along (RabbitMQ's sender-selected distribution)."""

from __future__ import annotations

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready, take
from dulse.testing.conformance.expecting import expected


@case("a message goes by the keys in CC as well, and its receivers see them")
async def cc(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queues = [await broker.queue(exchange, key) for key in ("red", "blue", "green")]
    await broker.publish(exchange, "red", "message", headers={"CC": ["blue"]})
    messages = [await take(queue) for queue in queues[:2]]
    assert [message.headers for message in messages] == [{"CC": ["blue"]}] * 2
    assert await ready(queues[2]) == []


@case("a message goes by the keys in BCC as well, and no receiver sees them")
async def bcc(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queues = [await broker.queue(exchange, key) for key in ("red", "blue")]
    await broker.publish(exchange, "red", "message", headers={"BCC": ["blue"], "other": 1})
    messages = [await take(queue) for queue in queues]
    assert [message.headers for message in messages] == [{"other": 1}] * 2


@case("keys in CC mean names of queues to the default exchange, and a queue named twice gets one copy")
async def default_exchange(broker: Broker) -> None:
    first, second = await broker.queue(), await broker.queue()
    await broker.send(first, "message", headers={"CC": [second.name, first.name, broker.name("missing")]})
    assert await ready(first) == ["message"]
    assert await ready(second) == ["message"]


@case("a CC that is no list is refused (406)")
async def not_a_list(broker: Broker) -> None:
    queue = await broker.queue()
    with expected(errors.PreconditionFailed):
        await broker.send(queue, "message", headers={"CC": queue.name})
    assert await ready(queue) == []
