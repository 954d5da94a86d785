"""A channel's verbs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
from dulse.aio.message import Message
from dulse.aio.messaging import Consumer, Producer
from dulse.model.message import Delivery, Outgoing


async def test_a_program_climbs_back_from_a_channel_to_its_connection(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.channel()
        assert channel.connection is not None
        assert channel.connection.client is connection
        assert channel.client is connection
        assert await channel.default_channel is channel
        assert channel.channel_id != (await connection.channel()).channel_id


async def test_a_closed_channel_says_so(url: str) -> None:
    async with Connection(url) as connection:
        async with await connection.channel() as channel:
            assert repr(channel) == f"<Channel {channel.channel_id}: open>"
        assert repr(channel) == f"<Channel {channel.channel_id}: closed>"
        assert (channel.is_open, channel.connection) == (False, None)
        await channel.close()
        with pytest.raises(errors.ChannelClosed):
            await channel.queue_declare("q")


async def test_a_refused_operation_closes_the_channel_and_no_other(url: str) -> None:
    async with Connection(url) as connection:
        first, second = await connection.channel(), await connection.channel()
        with pytest.raises(errors.NotFound):
            await first.queue_declare("missing", passive=True)
        assert not first.is_open
        assert (await second.queue_declare("q")).queue == "q"


async def test_messages_go_round_by_verbs_alone(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.exchange_declare("x", "topic")
        declared = await channel.queue_declare("q")
        await channel.queue_bind("q", "x", "a.*")
        await channel.basic_publish(channel.prepare_message(b"1", headers={"h": 1}), "x", "a.b")
        await channel.basic_publish("2", "x", "a.c")
        await channel.basic_publish(Outgoing(b"3", {"priority": 1}, "", ""), "x", "a.d")
        bodies = []
        for _ in range(3):
            message = await channel.basic_get("q")
            assert message is not None
            bodies.append(message.body)
            await channel.basic_ack(message.delivery_tag)
        assert declared == ("q", 0, 0)
        assert bodies == [b"1", b"2", b"3"]
        assert await channel.basic_get("q") is None


async def test_topology_is_taken_apart_by_verbs(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.exchange_declare("a", "fanout")
        await channel.exchange_declare("b", "fanout")
        await channel.exchange_bind("b", "a")
        await channel.queue_declare("q", arguments={"x-max-length": 10})
        await channel.queue_bind("q", "b")
        await channel.basic_publish(b"1", "a")
        assert await channel.queue_purge("q") == 1
        await channel.exchange_unbind("b", "a")
        await channel.basic_publish(b"2", "a")
        await channel.basic_publish(b"3", "b")
        await channel.queue_unbind("q", "b")
        await channel.basic_publish(b"4", "b")
        await channel.exchange_delete("b")
        assert await channel.queue_delete("q") == 1


async def test_a_prepared_message_has_what_it_was_given(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.queue_declare("q")
        made = channel.prepare_message(
            "té", 7, "text/plain", "latin-1", {"h": [1]}, {"correlation_id": "c", "reply_to": Queue("r")}
        )
        await channel.basic_publish(made, routing_key="q")
        message = await channel.basic_get("q")
        assert message is not None
        assert message.payload == "té"
        assert message.body == "té".encode("latin-1")
        assert message.headers == {"h": [1]}
        expected = {"priority": 7, "correlation_id": "c", "reply_to": "r"}
        assert {name: message.properties[name] for name in expected} == expected


async def test_a_received_message_can_be_published_on(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.queue_declare("q")
        await channel.basic_publish(channel.prepare_message(b"1", headers={"h": 1}), routing_key="q")
        message = await channel.basic_get("q", no_ack=True)
        assert message is not None
        await channel.basic_publish(message, routing_key="q")
        again = await channel.basic_get("q", no_ack=True)
        assert again is not None
        assert (again.body, again.headers) == (b"1", {"h": 1})


async def test_rejected_and_requeued_deliveries(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.queue_declare("q")
        await channel.basic_publish(b"1", routing_key="q")
        first = await channel.basic_get("q")
        assert first is not None
        await channel.basic_reject(first.delivery_tag, requeue=True)
        second = await channel.basic_get("q")
        assert second is not None
        assert second.delivery_info["redelivered"] is True
        await channel.basic_reject(second.delivery_tag)
        assert await channel.basic_get("q") is None


async def test_recover_gives_back_what_was_not_settled(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.queue_declare("q")
        await channel.basic_publish(b"1", routing_key="q")
        assert await channel.basic_get("q") is not None
        await channel.basic_recover()
        again = await channel.basic_get("q")
        assert again is not None
        assert again.delivery_count == 2


async def test_acknowledging_an_unknown_tag_is_a_failed_precondition(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        with pytest.raises(errors.PreconditionFailed, match="77"):
            await channel.basic_ack(77)


async def test_prefetch_bounds_what_is_not_settled(url: str) -> None:
    received: list[Message] = []
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.queue_declare("q")
        for body in (b"1", b"2", b"3"):
            await channel.basic_publish(body, routing_key="q")
        await channel.basic_qos(0, 2)
        await channel.basic_consume("q", callback=received.append)
        for _ in range(2):
            await connection.drain_events(timeout=1)
        with pytest.raises(errors.DeadlineExceeded):
            await connection.drain_events(timeout=0.05)
        await received[0].ack()
        await connection.drain_events(timeout=1)
        assert [message.body for message in received] == [b"1", b"2", b"3"]


async def test_a_prefetch_size_is_not_supported(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        with pytest.raises(errors.NotSupported, match="prefetch_count"):
            await channel.basic_qos(prefetch_size=1000)


async def test_flow_pauses_and_resumes_deliveries(url: str) -> None:
    received: list[Message] = []
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.queue_declare("q")
        await channel.basic_consume("q", callback=received.append)
        await channel.flow(False)
        await channel.basic_publish(b"1", routing_key="q")
        with pytest.raises(errors.DeadlineExceeded):
            await connection.drain_events(timeout=0.05)
        await channel.flow(True)
        await connection.drain_events(timeout=1)
        assert len(received) == 1


async def test_an_async_callback_is_finished_before_draining_ends(url: str) -> None:
    seen: list[Any] = []

    async def callback(message: Message) -> None:
        await message.ack()
        seen.append(message.body)

    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.queue_declare("q")
        await channel.basic_publish(b"1", routing_key="q")
        await channel.basic_consume("q", callback=callback)
        await connection.drain_events(timeout=1)
        assert seen == [b"1"]


async def test_a_consumer_learns_that_its_queue_was_deleted(url: str) -> None:
    cancelled: list[str] = []
    async with Connection(url) as connection, await connection.channel() as channel:
        await channel.queue_declare("q")
        tag = await channel.basic_consume("q", callback=lambda _: None, on_cancel=cancelled.append)
        await channel.queue_delete("q")
        with suppress(errors.DeadlineExceeded):
            await connection.drain_events(timeout=0.05)
        assert cancelled == [tag]


async def test_listeners_get_mandatory_messages_that_no_queue_wanted(url: str) -> None:
    returned: list[tuple[Exception, str, str, Message]] = []

    def listener(error: Exception, exchange: str, routing_key: str, message: Message) -> None:
        returned.append((error, exchange, routing_key, message))

    async with Connection(url) as connection, await connection.channel() as channel:
        channel.events["basic_return"].add(listener)
        made = channel.prepare_message(b"1", headers={"h": 1}, content_type="image/png")
        await channel.basic_publish(made, routing_key="nowhere", mandatory=True)
        ((error, exchange, routing_key, message),) = returned
        assert isinstance(error, errors.Unroutable)
        assert (exchange, routing_key, message.body, message.headers) == ("", "nowhere", b"1", {"h": 1})
        assert message.content_type == "image/png"


async def test_without_listeners_a_mandatory_message_is_unroutable(url: str) -> None:
    def listener(*_: object) -> None:
        raise AssertionError

    async with Connection(url) as connection, await connection.channel() as channel:
        channel.events["basic_return"].add(listener)
        channel.events["basic_return"].discard(listener)
        with pytest.raises(errors.Unroutable):
            await channel.basic_publish(b"1", routing_key="nowhere", mandatory=True)


@pytest.mark.parametrize("verb", ["queue_declare", "exchange_declare"])
async def test_names_over_255_bytes_are_refused_and_the_channel_lives_on(url: str, verb: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        with pytest.raises(errors.InvalidArgument, match="255"):
            await getattr(channel, verb)("n" * 256)
        with pytest.raises(errors.InvalidArgument, match="255"):
            await channel.basic_publish(b"", routing_key="k" * 256)
        assert channel.is_open


async def test_a_channel_makes_producers_and_consumers_of_its_own(url: str) -> None:
    async with Connection(url) as connection, await connection.channel() as channel:
        producer: Producer = channel.Producer(Exchange("x"))
        consumer: Consumer = channel.Consumer(Queue("q"))
        assert await producer.channel is channel
        await consumer.declare()
        assert consumer.channel is channel


async def test_an_observer_sees_what_happens(url: str) -> None:
    seen: list[tuple[str, Any]] = []

    class Watching:
        def published(self, message: Outgoing) -> None:
            seen.append(("published", message.body))

        def received(self, delivery: Delivery) -> None:
            seen.append(("received", delivery.body))

        def settled(self, delivery_tag: int, outcome: str) -> None:
            seen.append(("settled", outcome))

        def reconnected(self, url: str) -> None:
            seen.append(("reconnected", url))

    async with Connection(url, observer=Watching()) as connection, await connection.channel() as channel:
        assert isinstance(channel, Channel)
        await channel.queue_declare("q")
        await channel.basic_publish(b"1", routing_key="q")
        await channel.basic_consume("q", callback=lambda message: message.ack())
        await connection.drain_events(timeout=1)
        await connection.Producer(channel).publish(b"2", routing_key="nowhere")
    expected = [("published", b"1"), ("received", b"1"), ("settled", "ack"), ("published", b"2")]
    assert seen == expected
