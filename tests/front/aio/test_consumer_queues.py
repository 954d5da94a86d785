"""Consumers: their queues, how they consume, and the channel they work on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
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


# --------------------------------------------------------------------------------------------------------- queues


async def test_queues_are_declared_with_exchange_and_bindings(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        exchange = Exchange("x", "topic")
        async with connection.Consumer(Queue("q", exchange, "a.*"), callbacks=[seen.callback]):
            await exchange(connection).publish(b"1", "a.b")
            await drain(connection)
        assert seen == [b"1"]


async def test_without_auto_declare_a_missing_queue_is_not_found(url: str) -> None:
    async with Connection(url) as connection:
        consumer = connection.Consumer(Queue("q"), auto_declare=False, callbacks=[lambda *_: None])
        with pytest.raises(errors.NotFound, match="'q'"):
            await consumer.consume()
        assert not consumer.consuming_from("q")


async def test_a_queue_without_a_name_is_consumed_under_the_brokers(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        async with connection.Consumer(Queue("", exclusive=True), callbacks=[seen.callback]) as consumer:
            (queue,) = consumer.queues
            assert queue.name
            await connection.Producer().publish(b"1", routing_key=queue.name)
            await drain(connection)
        assert seen == [b"1"]


async def test_a_queue_can_be_added_and_is_consumed_from_the_next_call_on(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        async with connection.Consumer(Queue("a"), callbacks=[seen.callback]) as consumer:
            added = await consumer.add_queue(Queue("b"))
            assert added.is_bound
            assert (consumer.consuming_from("a"), consumer.consuming_from(Queue("b"))) == (True, False)
            await consumer.consume()
            assert consumer.consuming_from("b")
            await publish(connection, b"1", queue="b")
            await drain(connection)
        assert seen == [b"1"]


async def test_one_queue_can_be_cancelled_and_is_forgotten(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        async with connection.Consumer([Queue("a"), Queue("b")], callbacks=[seen.callback]) as consumer:
            await consumer.cancel_by_queue(Queue("a"))
            await consumer.cancel_by_queue("unknown")
            await consumer.consume()
            await publish(connection, b"1", queue="a")
            await publish(connection, b"2", queue="b")
            await drain(connection)
            assert await nothing_comes(connection)
            assert [queue.name for queue in consumer.queues] == ["b"]
        assert seen == [b"2"]


async def test_purge_empties_all_queues(url: str) -> None:
    async with Connection(url) as connection:
        await publish(connection, b"1", b"2", queue="a")
        await publish(connection, b"3", queue="b")
        assert await connection.Consumer([Queue("a"), Queue("b")]).purge() == 3


# -------------------------------------------------------------------------------------------------------- consume


async def test_cancel_gives_back_what_was_not_handed_over(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        await publish(connection, b"1", b"2", b"3")
        async with connection.Consumer(Queue("q"), callbacks=[seen.acking]):
            await drain(connection)
        assert await nothing_comes(connection)
        assert seen == [b"1"]
        assert await Queue("q")(connection).purge() == 2


async def test_leaving_by_an_exception_cancels_too(url: str) -> None:
    async with Connection(url) as connection:
        consumer = connection.Consumer(Queue("q"), callbacks=[lambda *_: None])

        async def fail() -> None:
            async with consumer:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert not consumer.consuming_from("q")


async def test_leaving_after_the_channel_was_closed_is_no_error(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.channel()
        async with channel.Consumer(Queue("q"), callbacks=[lambda *_: None]):
            await channel.close()


async def test_leaving_after_the_connection_broke_is_no_error(url: str) -> None:
    class Broken(Consumer):
        async def cancel(self) -> None:
            raise errors.make(errors.ConnectionLost, "a test cut the line")

    async with Connection(url) as connection, Broken(connection, [Queue("q")]) as consumer:
        assert consumer.consuming_from("q")


@pytest.mark.parametrize(("of_queue", "of_consumer", "of_call"), [(1, None, None), (0, 1, None), (0, 0, 1)])
async def test_no_ack_of_queue_consumer_or_call_leaves_nothing_to_settle(
    url: str, of_queue: int, of_consumer: int | None, of_call: int | None
) -> None:
    async with Connection(url) as connection:
        await publish(connection, b"1")
        queue = Queue("q", no_ack=bool(of_queue))
        seen: list[Message] = []
        consumer = connection.Consumer(
            queue, no_ack=None if of_consumer is None else bool(of_consumer), on_message=seen.append
        )
        await consumer.consume(None if of_call is None else bool(of_call))
        await drain(connection)
        await consumer.recover()
        assert await nothing_comes(connection)
        assert seen[0].no_ack


async def test_each_consumer_has_its_own_prefetch_count(url: str) -> None:
    one, two = Seen(), Seen()
    async with Connection(url) as connection:
        await publish(connection, *range(5), queue="a")
        await publish(connection, *range(5), queue="b")
        channel = await connection.default_channel
        first = channel.Consumer(Queue("a"), callbacks=[one.callback], prefetch_count=1)
        second = channel.Consumer(Queue("b"), callbacks=[two.callback], prefetch_count=2)
        await second.declare()
        await first.consume()
        await second.consume()
        await drain(connection, 3)
        assert await nothing_comes(connection)
        assert (one, two) == ([0], [0, 1])


async def test_qos_bounds_what_is_consumed_from_then_on(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        await publish(connection, *range(5))
        consumer = connection.Consumer(Queue("q"), callbacks=[seen.callback], prefetch_count=1)
        await consumer.qos(prefetch_count=3)
        await consumer.consume()
        await drain(connection, 3)
        assert await nothing_comes(connection)


async def test_flow_pauses_and_resumes(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        async with connection.Consumer(Queue("q"), callbacks=[seen.callback]) as consumer:
            await consumer.flow(False)
            await publish(connection, b"1")
            assert await nothing_comes(connection)
            await consumer.flow(True)
            await drain(connection)
        assert seen == [b"1"]


async def test_the_tag_has_the_prefix(url: str) -> None:
    seen: list[Message] = []
    async with Connection(url) as connection:
        await publish(connection, b"1")
        async with connection.Consumer(Queue("q"), on_message=seen.append, tag_prefix="mine-"):
            await drain(connection)
        assert seen[0].delivery_info["consumer_tag"].startswith("mine-")


# -------------------------------------------------------------------------------------------------------- channel


async def test_revived_on_another_channel_it_consumes_what_it_did_before(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        async with await connection.channel() as channel:
            consumer = channel.Consumer(Queue("a"), callbacks=[seen.callback])
            await consumer.consume(no_ack=True)
            await consumer.add_queue(Queue("b"))
        await consumer.revive(await connection.channel())
        assert (consumer.consuming_from("a"), consumer.consuming_from("b")) == (True, False)
        await publish(connection, b"1", queue="a")
        await drain(connection)
        await consumer.recover()
        assert await nothing_comes(connection)
        assert seen == [b"1"]


async def test_a_consumer_of_a_connection_gets_over_a_closed_channel(url: str) -> None:
    seen = Seen()
    async with Connection(url) as connection:
        consumer = connection.Consumer(Queue("q"), callbacks=[seen.callback])
        await consumer.consume()
        await (await connection.default_channel).close()
        await consumer.consume()
        await publish(connection, b"1")
        await drain(connection)
        assert seen == [b"1"]


async def test_a_consumer_of_a_closed_channel_stays_closed(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.channel()
        consumer = channel.Consumer(Queue("q"), callbacks=[lambda *_: None])
        await consumer.declare()
        await channel.close()
        with pytest.raises(errors.ChannelClosed):
            await consumer.consume()


async def test_a_consumer_without_channel_says_so(url: str) -> None:
    consumer: Consumer = Consumer(None, [Queue("q")], callbacks=[lambda *_: None])
    with pytest.raises(errors.NotBoundError, match=r"revive\(\)"):
        await consumer.consume()
    async with Connection(url) as connection:
        await consumer.revive(connection)
        assert consumer.connection is connection
        assert consumer.channel is await connection.default_channel


async def test_class_attributes_are_the_defaults_of_a_subclass(url: str) -> None:
    seen = Seen()

    class Mine(Consumer):
        auto_declare = False
        no_ack = True
        prefetch_count = 1
        callbacks: Sequence[Any] = (seen.callback,)  # type: ignore[assignment]

        def on_decode_error(self, message: Message, error: Exception) -> None:
            seen.append(error)

    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        await connection.Producer(routing_key="q").publish(b"{", content_type="application/json")
        await publish(connection, b"2")
        async with Mine(connection, [Queue("q")]) as consumer:
            await drain(connection, 2)
            consumer.register_callback(lambda *_: None)
        assert isinstance(seen[0], errors.DecodeError)
        assert seen[1] == b"2"
        assert Mine.callbacks == (seen.callback,)


async def test_a_repr_states_the_condition(url: str) -> None:
    async with Connection(url) as connection, connection.Consumer([Queue("a")]) as consumer:
        await consumer.add_queue(Queue("b"))
        assert repr(consumer) == "<Consumer of a*, b (* consuming): on <Channel 1: open>>"
