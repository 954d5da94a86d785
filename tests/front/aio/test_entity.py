"""Exchanges, queues and bindings that act on a broker."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue, binding
from dulse.aio.message import Message

Operation = Callable[[], Awaitable[object]]


async def test_calling_an_entity_gives_a_bound_copy_and_leaves_the_original(url: str) -> None:
    queue = Queue("q", Exchange("x"), "k")
    async with Connection(url) as connection:
        bound = queue(connection)
        assert bound.is_bound
        assert bound == queue
        assert isinstance(bound.exchange, Exchange)
        assert bound.exchange.is_bound
    assert not queue.is_bound
    assert isinstance(queue.exchange, Exchange)
    assert not queue.exchange.is_bound


async def test_unbound_entities_refuse_to_act() -> None:
    exchange, queue = Exchange("x"), Queue("q")
    operations: list[Operation] = [
        exchange.declare,
        exchange.delete,
        exchange.bind_to,
        exchange.unbind_from,
        lambda: exchange.publish(b""),
        queue.declare,
        queue.queue_declare,
        queue.queue_bind,
        queue.queue_unbind,
        queue.get,
        queue.purge,
        queue.delete,
        queue.consume,
        lambda: queue.cancel("tag"),
    ]
    for operation in operations:
        with pytest.raises(errors.NotBoundError, match="cannot act: bind it first"):
            await operation()


async def test_binding_alone_sends_nothing(url: str) -> None:
    connection = Connection(url)
    Queue("q", Exchange("x"))(connection)
    assert not connection.connected
    await connection.close()


async def test_an_entity_can_be_bound_by_its_constructor(url: str) -> None:
    async with Connection(url) as connection:
        await Exchange("x", "direct", connection).declare()
        assert await Queue("q", "x", channel=connection).declare() == "q"


async def test_maybe_bind_binds_once(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")
        first, second = await connection.channel(), await connection.channel()
        assert queue.maybe_bind(None) is queue
        assert not queue.is_bound
        assert queue.maybe_bind(first) is queue
        queue.maybe_bind(second)
        assert await queue.channel is first
        queue.revive(second)
        assert await queue.channel is second


async def test_an_unbound_entity_stays_so_when_revived(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")
        queue.revive(connection)
        assert not queue.is_bound


async def test_subclasses_are_told_when_they_are_bound(url: str) -> None:
    class Counted(Exchange):
        bindings = 0

        def when_bound(self) -> None:
            self.bindings += 1

    async with Connection(url) as connection:
        bound = Counted("x")(connection)
        assert isinstance(bound, Counted)
        assert bound.bindings == 1


async def test_declaring_a_queue_makes_its_exchange_and_routes_to_it(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("video", Exchange("media", "topic"), "video.#")(connection)
        assert await queue.declare() == "video"
        await Exchange("media", "topic")(connection).publish(b"seen", "video.short")
        message = await queue.get()
        assert message is not None
        assert message.body == b"seen"


async def test_declaring_tells_name_and_counts(url: str) -> None:
    told: list[tuple[str, int, int]] = []
    async with Connection(url) as connection:
        queue = Queue("q", on_declared=lambda *counts: told.append(counts))(connection)
        await queue.declare()
        await connection.Producer().publish(b"1", routing_key="q")
        declared = await queue.queue_declare(passive=True)
    assert told == [("q", 0, 0), ("q", 1, 0)]
    assert (declared.queue, declared.message_count, declared.consumer_count) == ("q", 1, 0)


async def test_a_queue_without_a_name_gets_one_from_the_broker(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("", exclusive=True)(connection)
        name = await queue.declare()
        assert name
        assert queue.name == name


async def test_a_passive_queue_is_looked_for_and_neither_made_nor_bound(url: str) -> None:
    async with Connection(url) as connection:
        passive = Queue("q", Exchange("x"), "key", passive=True)
        with pytest.raises(errors.NotFound, match="'q'"):
            await passive(connection).declare()
        await Queue("q")(await connection.channel()).declare()

        assert await passive(await connection.channel()).declare() == "q"

        with pytest.raises(errors.NotFound, match="'x'"):
            await Exchange("x", passive=True)(await connection.channel()).declare()


async def test_a_passive_declare_of_a_missing_thing_is_not_found(url: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.NotFound, match="'q'"):
            await Queue("q")(connection).queue_declare(passive=True)
        with pytest.raises(errors.NotFound, match="'x'"):
            await Exchange("x", passive=True)(connection).declare()


async def test_what_must_not_be_declared_is_left_alone(url: str) -> None:
    async with Connection(url) as connection:
        await Exchange("amq.topic", "topic")(connection).declare()
        await Exchange("")(connection).declare()
        await Exchange("x", no_declare=True)(connection).declare()
        await Queue("q", no_declare=True)(connection).declare()
        with pytest.raises(errors.NotFound):
            await Exchange("x")(connection).declare(passive=True)


async def test_several_bindings_are_all_declared(url: str) -> None:
    first, second = Exchange("first", "fanout"), Exchange("second")
    async with Connection(url) as connection:
        queue = Queue("q", [binding(first), second.binding("k")])(connection)
        await queue.declare()
        await first(connection).publish(b"1")
        await second(connection).publish(b"2", "k")
        await second(connection).publish(b"lost", "other")
        assert await queue.purge() == 2


async def test_an_exchange_feeds_another_until_it_is_unbound(url: str) -> None:
    async with Connection(url) as connection:
        source, target = Exchange("source")(connection), Exchange("target", "fanout")(connection)
        queue = Queue("q", target)(connection)
        await source.declare()
        await queue.declare()
        await target.bind_to(source, "k")
        await source.publish(b"arrives", "k")
        await target.unbind_from(source, "k")
        await source.publish(b"lost", "k")
        assert await queue.purge() == 1


async def test_a_queue_can_be_bound_and_unbound_by_hand(url: str) -> None:
    async with Connection(url) as connection:
        exchange = Exchange("x", "headers")(connection)
        queue = Queue("q", exchange, binding_arguments={"x-match": "all", "kind": "a"})(connection)
        await exchange.declare()
        await queue.queue_declare()
        await queue.queue_bind()
        await exchange.publish(exchange.Message(b"1", headers={"kind": "a"}))
        await queue.queue_unbind()
        await exchange.publish(exchange.Message(b"2", headers={"kind": "a"}))
        await queue.bind_to(exchange, arguments={"x-match": "any", "kind": "a"})
        await exchange.publish(exchange.Message(b"3", headers={"kind": "a"}))
        await queue.unbind_from(exchange, arguments={"x-match": "any", "kind": "a"})
        await exchange.publish(exchange.Message(b"4", headers={"kind": "a"}))
        bodies = [message.body for message in [await queue.get(), await queue.get()] if message]
        assert bodies == [b"1", b"3"]
        assert await queue.get() is None


async def test_a_binding_declares_and_binds_by_itself(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        link = Exchange("x", "fanout").binding()
        await link.declare(connection)
        await link.bind(queue)
        await Exchange("x")(connection).publish(b"1")
        await link.unbind(queue)
        await Exchange("x")(connection).publish(b"2")
        assert await queue.purge() == 1


async def test_get_purge_and_delete_act_on_what_is_ready(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        assert await queue.get() is None
        for body in (b"1", b"2", b"3"):
            await connection.Producer().publish(body, routing_key="q")
        message = await queue.get(no_ack=True)
        assert message is not None
        assert (message.body, message.no_ack) == (b"1", True)
        assert message.delivery_info["routing_key"] == "q"
        assert await queue.purge() == 2
        await connection.Producer().publish(b"4", routing_key="q")
        assert await queue.delete() == 1
        assert await queue.delete() == 0


async def test_delete_spares_what_is_in_use_when_asked_to(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q", Exchange("x"), "k")(connection).declare()
        await connection.Producer().publish(b"1", routing_key="q")
        with pytest.raises(errors.PreconditionFailed):
            await Queue("q")(connection).delete(if_empty=True)
        with pytest.raises(errors.PreconditionFailed):
            await Exchange("x")(connection).delete(if_unused=True)


async def test_get_decodes_only_what_is_accepted(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        await connection.Producer().publish({"a": 1}, routing_key="q", serializer="json")
        message = await queue.get(accept=["text/plain"])
        assert message is not None
        with pytest.raises(errors.ContentDisallowed):
            message.decode()


async def test_consume_hands_messages_to_a_callback_until_it_is_cancelled(url: str) -> None:
    received: list[Message] = []
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        await connection.Producer().publish(b"1", routing_key="q")
        tag = await queue.consume("my-tag", received.append)
        await connection.drain_events(timeout=1)
        await queue.cancel(tag)
        await connection.Producer().publish(b"2", routing_key="q")
        with pytest.raises(errors.DeadlineExceeded):
            await connection.drain_events(timeout=0.05)
    assert tag == "my-tag"
    assert [message.body for message in received] == [b"1"]
    assert received[0].delivery_info["consumer_tag"] == "my-tag"


async def test_consuming_without_a_callback_is_refused(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        with pytest.raises(errors.InvalidArgument, match="needs a callback"):
            await queue.consume()


async def test_an_exchange_makes_and_publishes_messages(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q", Exchange("x", "fanout", delivery_mode="transient"))(connection)
        await queue.declare()
        exchange = Exchange("x", delivery_mode="transient")(connection)
        await exchange.publish("text é")
        made = exchange.Message(b"bytes", headers={"a": 1}, content_type="image/png", properties={"message_id": "m"})
        await exchange.publish(made)
        text, made_one = await queue.get(), await queue.get()
        assert text is not None
        assert made_one is not None
        assert (text.body.decode(), text.content_encoding, text.properties["delivery_mode"]) == ("text é", "utf-8", 1)
        assert (made_one.body, made_one.headers, made_one.content_type) == (b"bytes", {"a": 1}, "image/png")
        assert made_one.properties["message_id"] == "m"


async def test_another_channel_can_be_named_for_one_operation(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.channel()
        await Queue("q", "")(connection).declare(channel=channel)
        await Exchange("x").declare(channel=channel)
        await Queue("q").bind_to("x", channel=channel)
        await channel.close()
        with pytest.raises(errors.ChannelError):
            await Exchange("x").declare(channel=channel)


async def test_a_queue_bound_to_a_connection_outlives_a_closed_channel(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        with pytest.raises(errors.NotFound):
            await Queue("missing")(connection).queue_declare(passive=True)
        assert await queue.purge() == 0


async def test_deleting_has_it_declared_again_later(url: str) -> None:
    async with Connection(url) as connection:
        exchange = Exchange("x")
        producer = connection.Producer(exchange=exchange)
        await producer.publish(b"1")
        await producer.exchange.delete()
        await producer.publish(b"2")
        await exchange(connection).declare(passive=True)


async def test_bound_entities_are_pickled_and_copied_unbound(url: str) -> None:
    async with Connection(url) as connection:
        bound = Queue("q", Exchange("x"), "k")(connection)
        for twin in (pickle.loads(pickle.dumps(bound)), copy(bound)):
            assert twin == bound
            assert not twin.is_bound


def test_from_dict_makes_entities_of_this_front_end() -> None:
    made: Any = Queue.from_dict("q", exchange="x", routing_key="k")
    assert isinstance(made.exchange, Exchange)
    assert isinstance(made, Queue)


def test_a_repr_states_the_condition() -> None:
    assert repr(Exchange("x", "fanout")) == "<Exchange 'x' (fanout): unbound>"
    assert repr(Queue("q", Exchange("x"), "k")) == "<Queue 'q' -> 'x' -> 'k': unbound>"
    assert repr(Queue("q", [binding(Exchange("x"), "k")])) == "<Queue 'q' -> [x->k]: unbound>"
