"""A mandatory message that no queue wants comes back."""

from __future__ import annotations

from typing import Any

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import eventually, ready
from dulse.testing.conformance.expecting import expected


@case("a mandatory message that no queue wants raises Unroutable (312), which has the message")
async def raises(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    with expected(errors.Unroutable) as caught:
        await broker.publish(exchange, "red", "message", mandatory=True, headers={"number": 1})
    assert caught.value.code == 312
    assert caught.value.message.body == b"message"
    assert caught.value.message.routing_key == "red"


@case("on_return is given the error, the exchange, the routing key and the message instead")
async def on_return(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    returned: list[tuple[Any, ...]] = []
    producer = broker.main.Producer(on_return=lambda *given: returned.append(given))
    await producer.publish({"a": 1}, "red", exchange=exchange, mandatory=True, headers={"number": 1})
    await producer.flush()

    async def came_back() -> bool:
        return bool(returned)

    await eventually(came_back)
    ((error, name, key, message),) = returned
    assert isinstance(error, errors.Unroutable)
    assert (name, key) == (exchange.name, "red")
    assert (message.payload, message.headers) == ({"a": 1}, {"number": 1})


@case("a mandatory message that is routed is delivered and does not come back")
async def routed(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    returned: list[Any] = []
    producer = broker.main.Producer(on_return=lambda *given: returned.append(given))
    await producer.publish("message", "red", exchange=exchange, mandatory=True)
    await producer.flush()
    assert returned == []
    assert await ready(queue) == ["message"]


@case("a mandatory message for a queue that does not exist comes back from the default exchange")
async def no_such_queue(broker: Broker) -> None:
    with expected(errors.Unroutable) as caught:
        await broker.publish("", broker.name("missing"), "message", mandatory=True)
    assert caught.value.message.exchange == ""


@case("a mandatory message comes back at once when another connection has deleted the only queue")
async def deleted_by_another(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    await broker.publish(exchange, "red", "message", mandatory=True)
    other = await broker.connection()
    await queue.bind(other).delete()
    with expected(errors.Unroutable):
        await broker.publish(exchange, "red", "message", mandatory=True)


@case("after one came back the next message goes its way")
async def goes_on(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    queue = await broker.queue(exchange, "red")
    with expected(errors.Unroutable):
        await broker.publish(exchange, "blue", "unroutable", mandatory=True)
    await broker.publish(exchange, "red", "message", mandatory=True)
    assert await ready(queue) == ["message"]
