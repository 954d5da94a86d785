"""Consumers that are iterated over."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.aio.message import Message


async def publish(connection: Connection, *bodies: Any) -> None:
    producer = connection.Producer(routing_key="q")
    for body in bodies:
        await producer.publish(body, declare=[Queue("q")])


async def test_iterating_consumes_and_gives_messages_in_order(url: str) -> None:
    seen = []
    async with Connection(url) as connection:
        await publish(connection, 1, 2, 3)
        async for message in connection.Consumer(Queue("q")):
            seen.append(message.payload)
            await message.ack()
            if len(seen) == 3:
                break
    assert seen == [1, 2, 3]


async def test_iterating_ends_at_the_limit_and_goes_on_where_it_was(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, *range(5))
        async with connection.Consumer(Queue("q")) as consumer:
            first = [message.payload async for message in consumer.messages(limit=2)]
            second = [message.payload async for message in consumer.messages(limit=3)]
    assert (first, second) == ([0, 1], [2, 3, 4])


async def test_a_loop_that_was_left_can_be_taken_up_again(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, *range(3))
        seen = []
        async with connection.Consumer(Queue("q")) as consumer:
            async for message in consumer:
                seen.append(message.payload)
                break
            seen += [message.payload async for message in consumer.messages(limit=2)]
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("timeout", [0, 0.02])
async def test_iterating_ends_when_nothing_comes_in_time(url: str, timeout: float) -> None:
    async with Connection(url) as connection:
        await publish(connection, 1)
        consumer = connection.Consumer(Queue("q"))
        assert [message.payload async for message in consumer.messages(timeout=timeout)] == [1]


async def test_iterating_ends_when_it_is_cancelled(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, 1, 2)
        seen = []
        consumer = connection.Consumer(Queue("q"))
        async for message in consumer:
            seen.append(message.payload)
            await message.ack()
            await consumer.cancel()
        assert seen == [1]
        assert await Queue("q")(connection).purge() == 1


async def test_what_was_not_given_out_goes_back_at_the_end(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, 1, 2, 3)
        async with connection.Consumer(Queue("q")) as consumer:
            async for message in consumer:
                await message.ack()
                break
            # Another loop over events lets it have a message that nobody asked it for.
            await connection.drain_events(timeout=1)
        assert await Queue("q")(connection).purge() == 2


async def test_iterating_raises_when_the_broker_ends_the_consumer(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, 1)
        consumer = connection.Consumer(Queue("q"))

        async def delete_at_the_first() -> None:
            async for message in consumer:
                await message.ack()
                await Queue("q")(connection).delete()

        with pytest.raises(errors.ConsumerCancelled, match="'q'"):
            await delete_at_the_first()
        assert not consumer.consuming_from("q")


async def test_a_loop_that_begins_after_the_broker_ended_the_consumer_raises_too(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, 1)
        consumer = connection.Consumer(Queue("q"), no_ack=True)
        assert [message.payload async for message in consumer.messages(limit=1)] == [1]
        await Queue("q")(connection).delete()
        with pytest.raises(errors.ConsumerCancelled, match="'q'"):
            _ = [message async for message in consumer]


async def test_a_loop_whose_channel_is_closed_raises_and_the_next_one_goes_on(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, 1, 2)
        consumer = connection.Consumer(Queue("q"))
        seen = []

        async def close_at_the_first() -> None:
            async for message in consumer:
                seen.append(message.payload)
                await (await connection.default_channel).close()

        with pytest.raises(errors.ChannelClosed, match="iterate again"):
            await close_at_the_first()
        seen += [message.payload async for message in consumer.messages(limit=2)]
    assert seen == [1, 1, 2]


async def test_a_consumer_with_callbacks_cannot_be_iterated_over(url: str) -> None:
    async with Connection(url) as connection:
        for consumer in (
            connection.Consumer(Queue("q"), callbacks=[lambda *_: None]),
            connection.Consumer(Queue("q"), on_message=lambda _: None),
        ):
            with pytest.raises(errors.InvalidArgument, match="callbacks"):
                async for _ in consumer:
                    pass


async def test_a_callback_registered_after_a_loop_gets_what_comes_then(url: str) -> None:
    seen: list[Any] = []
    async with Connection(url) as connection:
        await publish(connection, 1, 2)
        async with connection.Consumer(Queue("q")) as consumer:
            assert [message.payload async for message in consumer.messages(limit=1)] == [1]
            consumer.register_callback(lambda body, _: seen.append(body))
            await connection.drain_events(timeout=1)
    assert seen == [2]


async def test_a_message_is_decoded_by_whoever_reads_it(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, {"a": 1})
        async for message in connection.Consumer(Queue("q"), accept=["text/plain"]):
            with pytest.raises(errors.ContentDisallowed):
                _ = message.payload
            assert message.body == b'{"a": 1}'
            break


async def test_with_on_decode_error_only_readable_messages_are_given(url: str) -> None:
    wrong: list[Message] = []
    async with Connection(url) as connection:
        await publish(connection, {"a": 1}, "text")
        consumer = connection.Consumer(
            Queue("q"), accept=["text/plain"], on_decode_error=lambda message, _: wrong.append(message)
        )
        given = [message.payload async for message in consumer.messages(limit=1)]
    assert given == ["text"]
    assert [message.content_type for message in wrong] == ["application/json"]


async def test_prefetch_bounds_an_iteration_too(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, *range(3))
        consumer = connection.Consumer(Queue("q"), prefetch_count=2)
        assert [message.payload async for message in consumer.messages(timeout=0.02)] == [0, 1]
