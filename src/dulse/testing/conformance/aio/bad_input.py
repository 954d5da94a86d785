"""What cannot work is refused before anything is sent, by an error that says what to do."""

from __future__ import annotations

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready
from dulse.testing.conformance.expecting import expected


@case("an option that the transport does not have is named, with the one that was meant")
async def unknown_options(broker: Broker) -> None:
    with expected(errors.UnknownOption) as caught:
        await Connection(broker.url, transport_options={"max_retrys": 3}).connect()
    assert "max_retrys" in str(caught.value)
    assert "max_retries" in str(caught.value)


@case("a payload that cannot be serialized is refused, naming the path to what is wrong")
async def unserializable(broker: Broker) -> None:
    queue = await broker.queue()
    with expected(errors.EncodeError) as caught:
        await broker.send(queue, {"a": [1, {"b": object()}]})
    assert "$.a[1].b: " in str(caught.value)
    await broker.send(queue, "next")
    assert await ready(queue) == ["next"]


@case("a serializer or compression that does not exist is named")
async def unknown_content(broker: Broker) -> None:
    queue = await broker.queue()
    for options in ({"serializer": "no-such"}, {"compression": "no-such"}):
        with expected(errors.SerializerNotInstalled) as caught:
            await broker.send(queue, {"a": 1}, **options)
        assert "no-such" in str(caught.value)
    assert await ready(queue) == []


@case("an exchange or queue that is bound to no channel refuses to act (NotBoundError)")
async def unbound(broker: Broker) -> None:
    queue: Queue[object] = Queue(broker.name())
    with expected(errors.NotBoundError):
        await queue.declare()
    with expected(errors.NotBoundError):
        await Exchange(broker.name("exchange")).publish("message")
    bound = queue(broker.main)
    await bound.declare()
    assert bound.is_bound
    assert not queue.is_bound


@case("a prefetch count out of range, or a prefetch size in bytes, is refused")
async def prefetch(broker: Broker) -> None:
    channel = await broker.main.channel()
    for count in (-1, 65_536):
        with expected(errors.InvalidArgument):
            await channel.basic_qos(0, count, False)
    with expected(errors.NotSupported):
        await channel.basic_qos(1024, 0, False)
    assert channel.is_open
