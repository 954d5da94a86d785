"""A body arrives as it was sent, whatever is in it and however long it is."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from dulse.aio.entity import Queue
from dulse.aio.message import Message
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import collect, take

MEGABYTE = 1024 * 1024


async def back(broker: Broker, body: Any, **options: Any) -> Message[Any]:
    """Send a body and give the message as it is received."""
    queue = await broker.queue()
    await broker.send(queue, body, **options)
    message = await take(queue)
    await message.ack()
    return message


@case("every byte there is arrives as it was, in any place")
async def binary(broker: Broker) -> None:
    body = bytes(range(256)) * 3
    for sent in (body, body[::-1], b"\x00", b"\xff\xfe\x00\xd8"):
        message = await back(broker, sent)
        assert message.body == sent
        assert message.payload == sent


@case("an empty body is a message like any other")
async def empty(broker: Broker) -> None:
    message = await back(broker, b"")
    assert message.body == b""
    assert message.payload == b""


@case("bodies of every length around the sizes of frames, pages and buffers arrive whole")
async def lengths(broker: Broker) -> None:
    queue = await broker.queue()
    sizes = [2**power + more for power in (8, 12, 16, 17) for more in (-1, 0, 1)] + [131_064]
    for size in sizes:
        await broker.send(queue, bytes([size % 251]) * size)
    messages = await collect(broker.main, queue, len(sizes))
    assert [message.body for message in messages] == [bytes([size % 251]) * size for size in sizes]


@case("a body of some megabytes arrives whole")
async def big(broker: Broker) -> None:
    limit = broker.capabilities.max_record
    size = 8 * MEGABYTE if limit is None else min(8 * MEGABYTE, limit // 2)
    body = sha256(b"seed").digest() * (size // 32)
    message = await back(broker, body)
    assert len(message.body) == len(body)
    assert message.body == body


@case("text arrives as text, in any script")
async def text(broker: Broker) -> None:
    sent = "naïve, 日本語, 🐇, \u0000, \r\n"
    message = await back(broker, sent)
    assert message.payload == sent
    assert message.content_type == "text/plain"


@case("what JSON can say arrives as the same value")
async def json(broker: Broker) -> None:
    sent = {"list": [1, -2.5, True, None, "é"], "nested": {"deep": {"er": []}}, "big": 2**60, "": ""}
    message = await back(broker, sent)
    assert message.payload == sent
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")


@case("bytes that carry a content type of their own are left as they are")
async def own_content_type(broker: Broker) -> None:
    queue: Queue[Any] = await broker.queue()
    await broker.send(queue, b"\x89PNG...", content_type="image/png", content_encoding="binary")
    message = await take(queue)
    assert (message.body, message.content_type) == (b"\x89PNG...", "image/png")
    assert message.payload == b"\x89PNG..."
    await message.ack()


@case("a compressed body is expanded for its receiver, who is told how it was compressed")
async def compression(broker: Broker) -> None:
    sent = {"text": "again and " * 10_000}
    message = await back(broker, sent, compression="zlib")
    assert message.headers["compression"] == "application/x-gzip"
    assert message.payload == sent
