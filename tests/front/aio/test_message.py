"""Messages: what can be read of them, and how they are settled."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.aio.message import Message
from dulse.codecs import compress

LOGGER = logging.getLogger("tests.front")


@dataclass
class Order:
    number: int


@asynccontextmanager
async def published(url: str, body: Any = b"body", **options: Any) -> AsyncIterator[tuple[Connection, Queue]]:
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        await connection.Producer().publish(body, routing_key="q", **options)
        yield connection, queue


async def get(queue: Queue, no_ack: bool | None = None) -> Message:
    message = await queue.get(no_ack)
    assert message is not None
    return message


# ---------------------------------------------------------------------------------------------------------- read


async def test_a_received_message_shows_all_that_was_sent(url: str) -> None:
    sent = {"headers": {"h": [1]}, "priority": 3, "correlation_id": "c", "reply_to": "r", "message_id": "m"}
    async with published(url, {"a": 1}, **sent) as (_, queue):
        message = await get(queue)
        assert message.payload == {"a": 1}
        assert json.loads(message.body) == {"a": 1}
        assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
        assert message.headers == {"h": [1]}
        assert {**sent, **message.properties, "headers": message.headers} == {
            **sent,
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "delivery_mode": 2,
        }
        info = message.delivery_info
        assert (info["exchange"], info["routing_key"], info["redelivered"]) == ("", "q", False)
        assert info["delivery_tag"] == message.delivery_tag


async def test_nothing_that_is_read_is_shared_with_the_broker(url: str) -> None:
    async with published(url, headers={"list": [1], "table": {"a": 1}}) as (_, queue):
        message = await get(queue)
        message.headers["list"].append(2)
        message.headers["table"]["a"] = 2
        message.properties["priority"] = 9
        message.delivery_info["routing_key"] = "other"
        await message.requeue()
        again = await get(queue)
        assert (again.headers["list"], again.headers["table"]) == ([1], {"a": 1})
        assert again.properties["priority"] == 0
        assert again.delivery_info["routing_key"] == "q"


async def test_two_queues_get_messages_that_share_nothing(url: str) -> None:
    async with Connection(url) as connection:
        first, second = Queue("a", "x", "k")(connection), Queue("b", "x", "k")(connection)
        await first.declare()
        await second.declare()
        await connection.Producer(exchange="x").publish(b"", routing_key="k", headers={"list": [1]})
        (await get(first)).headers["list"].append(2)
        assert (await get(second)).headers == {"list": [1]}


async def test_attributes_can_be_assigned(url: str) -> None:
    async with published(url, b"[1]") as (_, queue):
        message = await get(queue)
        message.content_type, message.content_encoding = "application/json", "utf-8"
        assert message.payload == [1]
        message.headers = {"a": 1}
        message.properties = {"b": 2}
        message.delivery_info = {"c": 3}
        assert (message.headers, message.properties, message.delivery_info) == ({"a": 1}, {"b": 2}, {"c": 3})


async def test_an_assigned_body_is_what_is_decoded(url: str) -> None:
    async with published(url, [1]) as (_, queue):
        message = await get(queue)
        message.body = b"[2]"
        assert message.payload == [2]


async def test_the_delivery_count_grows_by_each_delivery(url: str) -> None:
    async with published(url) as (_, queue):
        for expected in (1, 2, 3):
            message = await get(queue)
            assert message.delivery_count == expected
            assert message.delivery_info["redelivered"] is (expected > 1)
            await message.requeue()


async def test_a_message_can_be_made_by_hand() -> None:
    headers = {"a": 1}
    message: Message = Message("té", 7, "text/plain", "utf-8", {"exchange": "x"}, {"p": 1}, headers, postencode="utf-8")
    assert message.body == "té".encode()
    assert message.payload == "té"
    assert message.headers is headers
    assert (message.delivery_tag, message.delivery_info, message.properties) == (7, {"exchange": "x"}, {"p": 1})
    assert repr(message) == "<Message 7: RECEIVED, 3 bytes of text/plain, exchange 'x', routing key None>"


# -------------------------------------------------------------------------------------------------------- decode


@pytest.mark.parametrize("payload", [0, "", [], {}, False, None, {"a": [1, 2.5, "é"]}], ids=repr)
async def test_payloads_come_back_as_they_were(url: str, payload: object) -> None:
    async with published(url, payload, serializer="json") as (_, queue):
        message = await get(queue)
        assert message.decode() == payload
        assert message.payload == payload


async def test_a_payload_is_decoded_once(url: str) -> None:
    async with published(url, []) as (_, queue):
        message = await get(queue)
        assert message.payload is message.payload
        assert message.decode() is message.payload


async def test_a_payload_can_be_made_an_object_of_a_class(url: str) -> None:
    async with published(url, {"number": 3}) as (_, queue):
        message = await get(queue)
        assert message.decode(Order) == Order(3)
        assert message.payload == {"number": 3}


async def test_a_body_that_cannot_be_read_is_an_error_when_decoded(url: str) -> None:
    async with published(url, b"{", content_type="application/json") as (_, queue):
        message = await get(queue)
        assert message.body == b"{"
        for _ in range(2):
            with pytest.raises(errors.DecodeError, match="application/json"):
                message.decode()
        await message.reject()


async def test_a_content_type_that_is_not_accepted_is_refused(url: str) -> None:
    async with published(url, {"a": 1}) as (_, queue):
        message = await get(queue)
        message.accept = {"text/plain"}
        with pytest.raises(errors.ContentDisallowed, match="application/json"):
            _ = message.payload


@pytest.mark.parametrize("compression", ["zlib", "bzip2", "lzma"])
async def test_a_compressed_body_is_expanded_for_the_reader(url: str, compression: str) -> None:
    payload = {"a": "x" * 1000}
    async with published(url, payload, compression=compression) as (_, queue):
        message = await get(queue)
        assert message.payload == payload
        assert len(message.body) > 1000
        assert message.errors == []


async def test_a_damaged_compressed_body_is_told_as_an_error_and_raised_by_decode(url: str) -> None:
    async with published(url, b"no zlib", headers={"compression": "application/x-gzip"}) as (_, queue):
        message = await get(queue)
        assert message.body == b"no zlib"
        (error,) = message.errors
        assert isinstance(error, errors.DecodeError)
        with pytest.raises(errors.DecodeError):
            message.decode()
        unread = Message(b"no zlib", headers={"compression": "application/x-gzip"}, content_type="text/plain")
        with pytest.raises(errors.DecodeError):
            unread.decode()


async def test_expansion_ends_at_the_limit(url: str) -> None:
    body, name = compress(b"x" * 1000, "zlib")
    async with published(url, body, headers={"compression": name}) as (_, queue):
        message = await get(queue)
        message.expansion_limit = 999
        assert message.body == body
        with pytest.raises(errors.DecodeError, match="999"):
            message.decode()


async def test_what_is_not_accepted_is_not_even_expanded(url: str) -> None:
    async with published(url, b"no zlib", headers={"compression": "application/x-gzip"}) as (_, queue):
        message = await get(queue)
        message.content_type, message.accept = "application/x-python-serialize", {"application/json"}
        with pytest.raises(errors.ContentDisallowed):
            message.decode()


# -------------------------------------------------------------------------------------------------------- settle


@pytest.mark.parametrize(("verb", "state"), [("ack", "ACK"), ("reject", "REJECTED"), ("requeue", "REQUEUED")])
async def test_a_message_is_settled_once(url: str, verb: str, state: str) -> None:
    async with published(url) as (_, queue):
        message = await get(queue)
        before = message.acknowledged
        await getattr(message, verb)()
        assert (before, message.acknowledged) == (False, True)
        for again in ("ack", "reject", "requeue"):
            with pytest.raises(errors.MessageStateError, match=state):
                await getattr(message, again)()


async def test_only_what_is_put_back_comes_again(url: str) -> None:
    async with published(url) as (_, queue):
        message = await get(queue)
        await message.reject(requeue=True)
        await (await get(queue)).reject()
        assert await queue.get() is None


async def test_acknowledging_several_settles_those_before(url: str) -> None:
    async with published(url) as (connection, queue):
        await connection.Producer().publish(b"2", routing_key="q")
        channel = await connection.default_channel
        await get(queue)
        second = await get(queue)
        await second.ack(multiple=True)
        await channel.basic_recover()
        assert await queue.get() is None


async def test_a_message_without_acknowledgement_is_acked_in_silence_and_cannot_be_refused(url: str) -> None:
    async with published(url) as (_, queue):
        message = await get(queue, no_ack=True)
        await message.ack()
        await message.ack()
        assert not message.acknowledged
        with pytest.raises(errors.MessageStateError, match="without acknowledgement"):
            await message.reject()


async def test_a_message_that_was_not_received_cannot_be_settled() -> None:
    with pytest.raises(errors.MessageStateError, match="not received"):
        await Message(b"").ack()


async def test_a_message_whose_settling_failed_can_be_settled_again(url: str) -> None:
    async with published(url) as (connection, queue):
        channel: Channel = await connection.channel()
        message = await get(queue(channel))
        await channel.close()
        for _ in range(2):
            with pytest.raises(errors.ChannelClosed):
                await message.ack()
            assert not message.acknowledged


@pytest.mark.parametrize("verb", ["ack_log_error", "reject_log_error"])
async def test_an_error_of_settling_can_be_logged_instead(
    url: str, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with published(url) as (connection, queue):
        channel = await connection.channel()
        message = await get(queue(channel))
        await channel.close()
        await getattr(message, verb)(LOGGER, (errors.ChannelError,))
        (record,) = caplog.records
        assert record.levelno == logging.CRITICAL
        assert repr(message.delivery_tag) in record.getMessage()
        with pytest.raises(errors.ChannelClosed):
            await getattr(message, verb)(LOGGER, (errors.ConnectionError,))


async def test_a_repr_states_the_condition(url: str) -> None:
    async with published(url) as (_, queue):
        message = await get(queue)
        await message.ack()
        assert repr(message) == "<Message 1: ACK, 4 bytes of application/data, exchange '', routing key 'q'>"
