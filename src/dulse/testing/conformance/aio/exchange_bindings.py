"""An exchange that is bound to another gets what reaches that one and matches."""

from __future__ import annotations

from itertools import pairwise

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready
from dulse.testing.conformance.expecting import expected


@case("a message goes on to an exchange bound by its key, which routes it by the same key")
async def goes_on(broker: Broker) -> None:
    source, destination = await broker.exchange("direct"), await broker.exchange("direct")
    await destination.bind_to(source, "red")
    red, blue = await broker.queue(destination, "red"), await broker.queue(destination, "blue")
    await broker.publish(source, "red", "one")
    await broker.publish(source, "blue", "two")
    assert await ready(red) == ["one"]
    assert await ready(blue) == []


@case("queues bound to the source get their copy as well")
async def the_source_has_queues_too(broker: Broker) -> None:
    source, destination = await broker.exchange("direct"), await broker.exchange("direct")
    await destination.bind_to(source, "red")
    near, far = await broker.queue(source, "red"), await broker.queue(destination, "red")
    await broker.publish(source, "red", "message")
    assert await ready(near) == ["message"]
    assert await ready(far) == ["message"]


@case("what is published to the destination does not go back to the source")
async def one_way(broker: Broker) -> None:
    source, destination = await broker.exchange("direct"), await broker.exchange("direct")
    await destination.bind_to(source, "red")
    near, far = await broker.queue(source, "red"), await broker.queue(destination, "red")
    await broker.publish(destination, "red", "message")
    assert await ready(near) == []
    assert await ready(far) == ["message"]


@case("each exchange on the way matches by its own type", requires=("topic", "fanout"))
async def each_by_its_type(broker: Broker) -> None:
    topic, fanout = await broker.exchange("topic"), await broker.exchange("fanout")
    await fanout.bind_to(topic, "stock.#")
    queue = await broker.queue(fanout)
    await broker.publish(topic, "stock.usd", "one")
    await broker.publish(topic, "news.usd", "two")
    assert await ready(queue) == ["one"]


@case("a queue that several ways lead to gets a message once", requires=("fanout",))
async def once(broker: Broker) -> None:
    start = await broker.exchange("fanout")
    left, right = await broker.exchange("fanout"), await broker.exchange("fanout")
    for middle in (left, right):
        await middle.bind_to(start)
    queue = await broker.queue(start)
    await queue.bind_to(left)
    await queue.bind_to(right)
    await broker.publish(start, "", "message")
    assert await ready(queue) == ["message"]


@case("a circle of exchanges ends: every queue on it gets a message once", requires=("fanout",))
async def circles(broker: Broker) -> None:
    ring = [await broker.exchange("fanout") for _ in range(3)]
    for number, exchange in enumerate(ring):
        await exchange.bind_to(ring[number - 1])
    queues = [await broker.queue(exchange) for exchange in ring]
    await broker.publish(ring[0], "", "message")
    assert [await ready(queue) for queue in queues] == [["message"]] * 3


@case("a chain of many exchanges is followed to its end", requires=("fanout",))
async def chains(broker: Broker) -> None:
    chain = [await broker.exchange("fanout") for _ in range(8)]
    for source, destination in pairwise(chain):
        await destination.bind_to(source)
    queue = await broker.queue(chain[-1])
    await broker.publish(chain[0], "", "message")
    assert await ready(queue) == ["message"]


@case("a binding between exchanges that is taken away is not followed any more")
async def unbinding(broker: Broker) -> None:
    source, destination = await broker.exchange("direct"), await broker.exchange("direct")
    for key in ("red", "blue"):
        await destination.bind_to(source, key)
    queue = await broker.queue(destination, "red", "blue")
    await destination.unbind_from(source, "red")
    await broker.publish(source, "red", "one")
    await broker.publish(source, "blue", "two")
    assert await ready(queue) == ["two"]


@case("nobody may publish to an internal exchange (403), and what reaches it through another is routed")
async def internal(broker: Broker) -> None:
    source, inner = await broker.exchange("direct"), await broker.exchange("direct", internal=True)
    await inner.bind_to(source, "red")
    queue = await broker.queue(inner, "red")
    with expected(errors.AccessRefused):
        await broker.publish(inner, "red", "refused")
    await broker.publish(source, "red", "message")
    assert await ready(queue) == ["message"]


@case("binding to an exchange that does not exist, from either end, is refused (404)")
async def missing_ends(broker: Broker) -> None:
    exchange = await broker.exchange("direct")
    with expected(errors.NotFound):
        await exchange.bind_to(broker.name("missing"), "red")
    channel = await broker.main.default_channel
    with expected(errors.NotFound):
        await channel.exchange_bind(broker.name("missing"), exchange.name, "red")


@case("an exchange that is deleted is out of every way, also when one of its name is declared again")
async def deleted_in_between(broker: Broker) -> None:
    source, middle = await broker.exchange("direct"), await broker.exchange("direct")
    await middle.bind_to(source, "red")
    queue = await broker.queue(middle, "red")
    await middle.delete()
    await broker.publish(source, "red", "one")
    await broker.exchange("direct", name=middle.name)
    await broker.publish(middle, "red", "two")
    await queue.bind_to(middle, "red")
    await broker.publish(source, "red", "three")
    await broker.publish(middle, "red", "four")
    assert await ready(queue) == ["four"]
