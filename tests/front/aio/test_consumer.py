"""Consumers: what their callbacks get, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.aio.message import Message
from dulse.aio.messaging import Consumer


class Seen(list[Any]):
    """Callbacks that note what they get."""

    def callback(self, body: Any, message: Message) -> None:
        self.append(body)

    async def acking(self, body: Any, message: Message) -> None:
        self.append(body)
        await message.ack()


async def publish(connection: Connection, *bodies: Any, queue: str = "q") -> None:
    producer = connection.Producer(routing_key=queue)
    for body in bodies:
        await producer.publish(body, declare=[Queue(queue)])


async def drain(connection: Connection, times: int = 1) -> None:
    for _ in range(times):
        await connection.drain_events(timeout=2)


async def nothing_comes(connection: Connection) -> bool:
    try:
        await connection.drain_events(timeout=0.02)
    except errors.DeadlineExceeded:
        return True
    return False


# ------------------------------------------------------------------------------------------------------ callbacks


async def test_callbacks_get_payload_and_message_in_order(url: str) -> None:
    seen: list[tuple[str, Any, Message]] = []
    async with Connection(url) as connection:
        await publish(connection, {"a": 1})
        consumer = connection.Consumer(Queue("q"), callbacks=[lambda body, message: seen.append(("1", body, message))])
        consumer.register_callback(lambda body, message: seen.append(("2", body, message)))
        await consumer.consume()
        await drain(connection)
        (first, body, message), (second, _, same) = seen
        assert (first, second, body) == ("1", "2", {"a": 1})
        assert message is same
        assert message.delivery_info["routing_key"] == "q"


async def test_on_message_gets_the_message_undecoded_and_callbacks_nothing(url: str) -> None:
    seen = Seen()
    messages: list[Message] = []
    async with Connection(url) as connection:
        await publish(connection, {"a": 1})
        async with connection.Consumer(Queue("q"), on_message=messages.append, callbacks=[seen.callback]):
            await drain(connection)
        assert seen == []
        assert messages[0].payload == {"a": 1}


async def test_async_callbacks_are_finished_before_draining_ends(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        await publish(connection, b"1", b"2")
        async with connection.Consumer(Queue("q"), callbacks=[seen.acking], prefetch_count=1):
            await drain(connection, 2)
        assert seen == [b"1", b"2"]


async def test_several_queues_are_consumed(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        await publish(connection, b"1", queue="a")
        await publish(connection, b"2", queue="b")
        async with connection.Consumer([Queue("a"), Queue("b")], callbacks=[seen.acking]):
            await drain(connection, 2)
        assert sorted(seen) == [b"1", b"2"]


async def test_without_callbacks_a_message_is_an_error_that_says_so(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, b"1")
        async with connection.Consumer(Queue("q")):
            with pytest.raises(NotImplementedError, match="has no callbacks"):
                await drain(connection)


async def test_tracers_see_each_delivery(url: str) -> None:
    seen: list[str] = []

    class Traced(Consumer):
        async def _receive_callback(self, message: Message) -> None:
            seen.append("callback")
            await super()._receive_callback(message)

        async def receive(self, body: Any, message: Message) -> None:
            seen.append(f"receive {body!r}")
            await super().receive(body, message)

    async with Connection(url) as connection:
        await publish(connection, b"1")
        async with Traced(connection, [Queue("q")], callbacks=[lambda body, _: seen.append(f"done {body!r}")]):
            await drain(connection)
    assert seen == ["callback", "receive b'1'", "done b'1'"]


async def test_two_consumers_of_one_queue_on_one_connection_both_get_their_share(url: str) -> None:
    first, second = Seen(), Seen()
    async with Connection(url) as connection:
        await publish(connection, *range(10))
        async with (
            connection.Consumer(Queue("q"), callbacks=[first.callback], prefetch_count=5),
            connection.Consumer(Queue("q"), callbacks=[second.callback], prefetch_count=5),
        ):
            await drain(connection, 10)
        assert (len(first), len(second)) == (5, 5)
        assert sorted(first + second) == list(range(10))


# --------------------------------------------------------------------------------------------------------- errors


async def test_an_exception_of_a_callback_comes_out_and_the_message_stays_unsettled(url: str) -> None:
    def fail(body: Any, message: Message) -> None:
        raise ZeroDivisionError

    async with Connection(url) as connection:
        await publish(connection, b"1")
        async with connection.Consumer(Queue("q"), callbacks=[fail]) as consumer:
            with pytest.raises(ZeroDivisionError):
                await drain(connection)
            seen = Seen()
            consumer.callbacks = [seen.callback]
            await consumer.recover()
            await drain(connection)
            assert seen == [b"1"]


async def test_what_cannot_be_decoded_comes_out_and_the_consumer_lives_on(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        await connection.Producer(routing_key="q").publish(b"{", content_type="application/json")
        await publish(connection, b"2")
        async with connection.Consumer(Queue("q"), callbacks=[seen.callback]):
            with pytest.raises(errors.DecodeError, match="application/json"):
                await drain(connection)
            await drain(connection)
        assert seen == [b"2"]


async def test_on_decode_error_gets_what_cannot_be_decoded(url: str) -> None:
    wrong: list[tuple[bytes, Exception]] = []
    seen = Seen()

    async def on_decode_error(message: Message, error: Exception) -> None:
        wrong.append((message.body, error))
        await message.reject()

    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        await connection.Producer(routing_key="q").publish(b"{", content_type="application/json")
        await publish(connection, b"2")
        async with connection.Consumer(Queue("q"), callbacks=[seen.callback], on_decode_error=on_decode_error):
            await drain(connection, 2)
        ((body, error),) = wrong
        assert body == b"{"
        assert isinstance(error, errors.DecodeError)
        assert seen == [b"2"]


async def test_an_undecodable_message_can_be_rejected_to_a_dead_letter_queue(url: str) -> None:
    dead = Queue("dead")
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    async with Connection(url) as connection:
        queue = Queue("q", queue_arguments=arguments)
        await dead(connection).declare()
        await queue(connection).declare()
        await connection.Producer(routing_key="q").publish(b"{", content_type="application/json")
        async with connection.Consumer(queue, callbacks=[], on_decode_error=lambda message, _: message.reject()):
            await drain(connection)
        buried = await dead(connection).get()
        assert buried is not None
        assert buried.body == b"{"


async def test_a_content_type_that_is_not_accepted_is_disallowed(url: str) -> None:
    refused: list[Exception] = []
    async with Connection(url) as connection:
        await publish(connection, {"a": 1}, "text")
        async with connection.Consumer(
            Queue("q"),
            callbacks=[lambda *_: None],
            accept=["text/plain"],
            on_decode_error=lambda _, e: refused.append(e),
        ):
            await drain(connection, 2)
        (error,) = refused
        assert isinstance(error, errors.ContentDisallowed)
        assert isinstance(error, Consumer.ContentDisallowed)


async def test_a_serializer_that_is_off_is_read_where_it_is_accepted(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        await connection.Producer(routing_key="q").publish({"a": 1}, serializer="yaml")
        async with connection.Consumer(queue, callbacks=[seen.callback]) as consumer:
            with pytest.raises(errors.ContentDisallowed):
                await drain(connection)
            consumer.accept = {"application/x-yaml"}
            await consumer.recover()
            await drain(connection)
        assert seen == [{"a": 1}]


@pytest.mark.parametrize("handled", [True, False])
async def test_a_damaged_body_reaches_on_decode_error_even_with_on_message(url: str, handled: bool) -> None:
    wrong: list[Exception] = []
    right: list[Message] = []
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        headers = {"compression": "application/x-gzip"}
        await connection.Producer(routing_key="q").publish(b"no zlib", headers=headers)
        consumer = connection.Consumer(Queue("q"), on_message=right.append)
        if handled:
            consumer.on_decode_error = lambda _, error: wrong.append(error)
        await consumer.consume()
        await drain(connection)
        assert (len(wrong), len(right)) == ((1, 0) if handled else (0, 1))


async def test_expansion_is_bounded_for_each_consumer(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        await connection.Producer(routing_key="q").publish("x" * 1000, compression="zlib")
        async with connection.Consumer(Queue("q"), callbacks=[lambda *_: None], expansion_limit=999):
            with pytest.raises(errors.DecodeError, match="999"):
                await drain(connection)
