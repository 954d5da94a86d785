"""Headers arrive as the values that they were, of every type that brokers know."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dulse import errors
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready, take
from dulse.testing.conformance.expecting import expected


async def back(broker: Broker, headers: dict[str, Any]) -> dict[str, Any]:
    """Send headers and give them as they are received."""
    queue = await broker.queue()
    await broker.send(queue, "message", headers=headers)
    message = await take(queue)
    await message.ack()
    return message.headers


async def returns(broker: Broker, *values: Any) -> None:
    """See to it that each of these values arrives as the same value of the same type."""
    sent = {f"value {number}": value for number, value in enumerate(values)}
    received = await back(broker, sent)
    assert received == sent
    assert [type(received[name]) for name in sent] == [type(value) for value in values]


@case("integers of 64 bits, and booleans, which are no integers")
async def integers(broker: Broker) -> None:
    await returns(broker, 0, 1, -1, 127, 128, -129, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63), True, False)


@case("floating point numbers, to the last bit, and not as integers where they are whole")
async def floats(broker: Broker) -> None:
    await returns(broker, 0.1, -1e300, 5e-324, 2.0, 1.7976931348623157e308)


@case("text, also empty and in any script, and bytes, which are no text")
async def text_and_bytes(broker: Broker) -> None:
    await returns(broker, "", "plain", "naïve 日本語 🐇", b"", b"\x00\xff", b"bytes", "x" * 5000)


@case("times, to the second, and decimal numbers")
async def times_and_decimals(broker: Broker) -> None:
    time = datetime(2026, 11, 22, 19, 30, 5, tzinfo=UTC)
    received = await back(broker, {"time": time, "decimals": [Decimal("1.50"), Decimal(-7), Decimal("0.001")]})
    assert received["time"].replace(tzinfo=UTC) == time
    assert received["decimals"] == [Decimal("1.50"), Decimal(-7), Decimal("0.001")]
    assert {type(each) for each in received["decimals"]} == {Decimal}


@case("nothing, which is not the same as no header")
async def nothing(broker: Broker) -> None:
    assert await back(broker, {"none": None, "some": 1}) == {"none": None, "some": 1}


@case("lists and tables, within each other")
async def nested(broker: Broker) -> None:
    await returns(broker, [], {}, [1, "a", None, [True, [b"deep"]]], {"a": {"b": [{"c": 1.5}]}, "": []})


@case("names may be any text of up to 255 bytes")
async def names(broker: Broker) -> None:
    sent = {"": 0, "white space": 1, "日本語": 2, "a.b-c/d": 3, "n" * 255: 4, "é" * 127: 5}
    assert await back(broker, sent) == sent


@case("a great many headers arrive, up to 100 KiB of them")
async def a_great_many(broker: Broker) -> None:
    sent = {f"header {number}": "x" * 90 for number in range(900)}
    assert await back(broker, sent) == sent


@case("a header that no broker can carry is refused, naming the path to it, and nothing is sent")
async def what_cannot_be(broker: Broker) -> None:
    queue = await broker.queue()
    impossible: list[tuple[dict[str, Any], str]] = [
        ({"a": {"b": [1, object()]}}, "a.b[1]"),
        ({"big": 2**63}, "big"),
        ({"n" * 256: 1}, "n" * 40),
        ({"early": datetime(1969, 12, 31, tzinfo=UTC)}, "early"),
    ]
    for headers, path in impossible:
        with expected(errors.EncodeError) as caught:
            await broker.send(queue, "message", headers=headers)
        assert path in str(caught.value)
    await broker.send(queue, "next")
    assert await ready(queue) == ["next"]


@case("what the sender changes after publishing, the receiver does not see")
async def changed_later(broker: Broker) -> None:
    queue = await broker.queue()
    headers: dict[str, Any] = {"list": [1]}
    body = {"list": [1]}
    await broker.send(queue, body, headers=headers)
    headers["list"].append(2)
    body["list"].append(2)
    message = await take(queue)
    assert (message.headers, message.payload) == ({"list": [1]}, {"list": [1]})
    await message.ack()
