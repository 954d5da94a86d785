"""A fanout exchange gives every bound queue a message of its own."""

from __future__ import annotations

from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready, take

FANOUT = ("fanout",)


@case("every bound queue gets each message, whatever the routing keys", requires=FANOUT)
async def everybody(broker: Broker) -> None:
    exchange = await broker.exchange("fanout")
    queues = [await broker.queue(exchange, key) for key in ("", "a", "b.c")]
    await broker.queue()
    await broker.publish(exchange, "a", "one")
    await broker.publish(exchange, "", "two")
    assert [await ready(queue) for queue in queues] == [["one", "two"]] * 3


@case("a queue that is bound several times gets one copy", requires=FANOUT)
async def once(broker: Broker) -> None:
    exchange = await broker.exchange("fanout")
    queue = await broker.queue(exchange, "a", "b", "c")
    await broker.publish(exchange, "a", "message")
    assert await ready(queue) == ["message"]


@case("what is done with one queue's copy means nothing to the others", requires=FANOUT)
async def copies_are_independent(broker: Broker) -> None:
    exchange = await broker.exchange("fanout")
    first, second, third = [await broker.queue(exchange) for _ in range(3)]
    await broker.publish(exchange, "", {"a": [1]}, headers={"list": [1]})
    message = await take(first)
    message.payload["a"].append(2)
    message.headers["list"].append(2)
    await message.ack()
    await (await take(second)).reject()
    message = await take(third)
    assert (message.payload, message.headers["list"]) == ({"a": [1]}, [1])
    assert not message.delivery_info["redelivered"]
    await message.ack()


@case("a queue gets what was published since it was bound", requires=FANOUT)
async def later(broker: Broker) -> None:
    exchange = await broker.exchange("fanout")
    await broker.queue(exchange)
    await broker.publish(exchange, "", "early")
    queue = await broker.queue(exchange)
    await broker.publish(exchange, "", "late")
    assert await ready(queue) == ["late"]
