"""Producers: what comes back, retries, batches, and the channel they work on."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
from dulse.aio.message import Message
from dulse.aio.messaging import Producer


class Fails(Producer):
    """Loses the connection at its first tries."""

    tries = 0
    failures = 1

    async def _publish(self, *arguments: Any) -> None:
        self.tries += 1
        if self.tries <= self.failures:
            raise errors.make(errors.ConnectionLost, "a test cut the line")
        await super()._publish(*arguments)


async def get(connection: Connection, name: str = "q") -> Message:
    message = await Queue(name)(connection).get(no_ack=True)
    assert message is not None
    return message


async def count(connection: Connection, name: str = "q") -> int:
    return (await Queue(name)(connection).queue_declare(passive=True)).message_count


# -------------------------------------------------------------------------------------------------------- return


async def test_a_mandatory_message_that_no_queue_wants_is_unroutable(url: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.Unroutable) as caught:
            await connection.Producer().publish(b"1", routing_key="nowhere", mandatory=True)
        assert caught.value.message.routing_key == "nowhere"


async def test_on_return_gets_a_mandatory_message_that_no_queue_wants(url: str) -> None:
    returned: list[Any] = []
    async with Connection(url) as connection:
        producer = connection.Producer(on_return=lambda *given: returned.append(given))
        await producer.publish(b"1", routing_key="nowhere", mandatory=True)
        ((error, exchange, routing_key, message),) = returned
        assert isinstance(error, errors.Unroutable)
        assert (exchange, routing_key, message.body) == ("", "nowhere", b"1")


async def test_a_released_producer_is_not_told_of_others_messages(url: str) -> None:
    returned: list[Any] = []
    async with Connection(url) as connection:
        async with connection.Producer(on_return=lambda *given: returned.append(given)) as producer:
            await producer.publish(b"1", routing_key="nowhere", mandatory=True)
        with pytest.raises(errors.Unroutable):
            await connection.Producer().publish(b"2", routing_key="nowhere", mandatory=True)
        await producer.publish(b"3", routing_key="nowhere", mandatory=True)
        assert len(returned) == 2


# --------------------------------------------------------------------------------------------------------- retry


async def test_with_retry_a_message_gets_through_when_the_connection_breaks(url: str) -> None:
    async with Connection(url) as connection:
        producer = Fails(connection, Exchange("x", "fanout"))
        policy = {"max_retries": 3, "interval_start": 0}
        await producer.publish(b"1", declare=[Queue("q", Exchange("x", "fanout"))], retry=True, retry_policy=policy)
        assert producer.tries == 2
        assert await count(connection) == 1
        assert connection.transport_options == {}


async def test_after_a_retry_a_producer_still_finds_the_channel_of_the_moment(url: str) -> None:
    async with Connection(url) as connection:
        producer = Fails(connection, routing_key="q")
        await producer.publish(b"1", declare=[Queue("q")], retry=True, retry_policy={"interval_start": 0})
        await (await connection.default_channel).close()
        await producer.publish(b"2")
        assert await count(connection) == 2


async def test_retries_come_to_an_end(url: str) -> None:
    async with Connection(url) as connection:
        producer = Fails(connection)
        producer.failures = 99
        with pytest.raises(errors.OperationalError, match="a test cut the line"):
            await producer.publish(
                b"", retry=True, retry_policy={"max_retries": 2, "interval_start": 0, "interval_max": 0}
            )
        assert producer.tries == 3


async def test_without_retry_a_broken_connection_is_raised_at_once(url: str) -> None:
    async with Connection(url) as connection:
        producer = Fails(connection)
        with pytest.raises(errors.ConnectionLost):
            await producer.publish(b"")
        assert producer.tries == 1


# ---------------------------------------------------------------------------------------------------------- many


async def test_many_messages_are_published_in_order_with_options_of_their_own(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(routing_key="q")
        messages = [b"1", {"a": 2}, (b"3", {"headers": {"h": 3}})]
        published = await producer.publish_many(messages, max_size=2, declare=[Queue("q")], headers={"h": 0})
        assert published == 3
        got = [await get(connection) for _ in range(3)]
        assert [message.payload for message in got] == [b"1", {"a": 2}, b"3"]
        assert [message.headers for message in got] == [{"h": 0}, {"h": 0}, {"h": 3}]


async def test_a_batch_is_sent_in_steps_and_the_rest_at_the_end(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        producer, other = connection.Producer(routing_key="q"), connection.Producer(routing_key="q")
        counts = []
        async with producer.batch(max_size=2) as batch:
            for body in (b"1", b"2", b"3"):
                await producer.publish(body)
                counts.append(await count(connection))
            await other.publish(b"another producer's")
            counts.append(await count(connection))
            assert len(batch) == 1
            await batch.flush()
            counts.append(await count(connection))
            await producer.publish(b"4")
        counts.append(await count(connection))
        assert counts == [0, 2, 2, 3, 4, 5]


async def test_batches_of_two_producers_do_not_mix(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        first, second = connection.Producer(routing_key="q"), connection.Producer(routing_key="q")
        async with first.batch() as ones, second.batch() as twos:
            await first.publish(b"1")
            await second.publish(b"2")
            assert (len(ones), len(twos), twos is ones) == (1, 1, False)


async def test_a_batch_that_ends_by_an_exception_drops_what_is_not_out(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        producer = connection.Producer(routing_key="q")

        async def fail() -> None:
            async with producer.batch(max_size=2):
                for body in (b"1", b"2", b"3"):
                    await producer.publish(body)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        await producer.publish(b"4")
        assert [(await get(connection)).body for _ in range(3)] == [b"1", b"2", b"4"]


async def test_a_batch_within_a_batch_adds_to_the_outer_one(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        producer = connection.Producer(routing_key="q")
        async with producer.batch() as outer:
            async with producer.batch() as inner:
                await producer.publish(b"1")
            assert inner is outer
            assert await count(connection) == 0
        assert await count(connection) == 1


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
async def test_a_batch_of_no_size_is_refused(url: str, size: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match="max_size"):
        Connection(url).Producer().batch(size)


async def test_a_batch_is_repeated_when_the_connection_breaks(url: str) -> None:
    class Breaks(Producer):
        tries = 0

        async def _send_all(self, *arguments: Any) -> None:
            self.tries += 1
            if self.tries == 1:
                raise errors.make(errors.ConnectionLost, "a test cut the line")
            await super()._send_all(*arguments)

    async with Connection(url) as connection:
        producer = Breaks(connection, routing_key="q")
        policy = {"interval_start": 0}
        await producer.publish_many([b"1", b"2"], declare=[Queue("q")], retry=True, retry_policy=policy)
        assert await count(connection) == 2


# ------------------------------------------------------------------------------------------------------- channel


async def test_a_producer_opens_nothing_before_its_first_message(url: str) -> None:
    connection = Connection(url)
    producer = connection.Producer(exchange=Exchange("x"))
    assert not connection.connected
    assert producer.connection is connection
    await connection.close()


async def test_a_producer_without_channel_says_so(url: str) -> None:
    producer: Producer = Producer(None)
    assert producer.connection is None
    with pytest.raises(errors.NotBoundError, match=r"revive\(\)"):
        await producer.publish(b"")
    async with Connection(url) as connection:
        producer.revive(connection)
        await producer.publish(b"", routing_key="q", declare=[Queue("q")])
        assert await count(connection) == 1


async def test_a_producer_can_be_moved_to_another_channel(url: str) -> None:
    async with Connection(url) as connection:
        first, second = await connection.channel(), await connection.channel()
        producer = first.Producer()
        assert await producer.channel is first
        producer.channel = second
        assert await producer.channel is second
        assert producer.connection is connection


async def test_a_producer_of_a_connection_survives_its_closed_channel(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(routing_key="q")
        await producer.publish(b"1", declare=[Queue("q")])
        with pytest.raises(errors.NotFound):
            await producer.publish(b"", exchange="missing")
        await producer.publish(b"2")
        assert await count(connection) == 2


async def test_flush_waits_for_what_was_published(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(routing_key="q")
        await producer.flush()
        await producer.publish(b"1", declare=[Queue("q")])
        await producer.flush(timeout=5)
        assert await count(connection) == 1


async def test_class_attributes_are_the_defaults_of_a_subclass(url: str) -> None:
    class Orders(Producer):
        exchange = Exchange("orders", "fanout")
        routing_key = "new"
        serializer = "json"

    async with Connection(url) as connection:
        producer = Orders(connection)
        await producer.publish("1", declare=[Queue("q", Exchange("orders", "fanout"))])
        message = await get(connection)
        assert (message.body, message.delivery_info["routing_key"]) == (b'"1"', "new")
        assert not Orders.exchange.is_bound


async def test_a_pickled_producer_can_be_revived(url: str) -> None:
    async with Connection(url) as connection:
        producer = pickle.loads(pickle.dumps(connection.Producer(exchange=Exchange("x"), routing_key="k")))
        assert (producer.exchange, producer.routing_key) == (Exchange("x"), "k")
        producer.revive(connection)
        await producer.publish(b"")


# ------------------------------------------------------------------------------------------------------- tracing


async def test_tracers_see_each_message_in_the_documented_order(url: str) -> None:
    seen: list[tuple[Any, ...]] = []

    class Traced(Producer):
        async def _publish(self, *arguments: Any) -> None:
            seen.append(arguments)
            arguments[4]["trace"] = "t"
            await super()._publish(*arguments)

    async with Connection(url) as connection:
        producer = Traced(connection)
        queue = Queue("q")
        await producer.publish(
            b"body", "q", headers={"h": 1}, priority=3, declare=[queue], timeout=5, confirm_timeout=6, message_id="m"
        )
        body, priority, content_type, content_encoding, headers, properties, *rest = seen[0]
        assert (body, priority, content_type, content_encoding) == (b"body", 3, "application/data", "binary")
        assert (headers, properties) == ({"h": 1, "trace": "t"}, {"delivery_mode": 2, "message_id": "m"})
        assert rest == ["q", False, False, "", [queue], 5, 6, False, None]
        assert (await get(connection)).headers == {"h": 1, "trace": "t"}


async def test_publishing_bytes_takes_at_most_six_frames_of_ours(url: str, frames: Any) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(exchange=Exchange("x", "fanout"))
        await producer.publish(b"first")
        with frames as seen:
            await producer.publish(b"second", routing_key="k")
        door = next(index for index, name in enumerate(seen) if name.endswith("Channel.publish"))
        assert seen[0] == "Producer.publish"
        assert door <= 6
