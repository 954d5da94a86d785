"""SimpleQueue and SimpleBuffer."""

from __future__ import annotations

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
from dulse.aio.simple import SimpleBuffer, SimpleQueue
from dulse.links.waiting.aio import sleep, spawn


async def test_what_was_put_is_got(url: str) -> None:
    async with Connection(url) as connection, connection.SimpleQueue("tasks") as queue:
        await queue.put({"a": 1}, headers={"h": 2})
        message = await queue.get(timeout=5)
        assert message.payload == {"a": 1}
        assert message.headers["h"] == 2
        await message.ack()
        assert await queue.qsize() == 0


async def test_messages_come_in_the_order_they_were_put(url: str) -> None:
    async with Connection(url) as connection, connection.SimpleQueue("tasks") as queue:
        for number in range(20):
            await queue.put(number)
        got = [(await queue.get(timeout=5)).payload for _ in range(10)]
        got += [(await queue.get_nowait()).payload for _ in range(5)]
        got += [(await queue.get(timeout=0)).payload for _ in range(5)]
        assert got == list(range(20))


async def test_an_empty_queue_says_so(url: str) -> None:
    async with Connection(url) as connection, connection.SimpleQueue("tasks") as queue:
        for options in ({"block": False}, {"timeout": 0}, {"timeout": 0.01}, {"block": False, "timeout": 9}):
            with pytest.raises(queue.Empty):
                await queue.get(**options)
        with pytest.raises(errors.Empty):
            await queue.get_nowait()


async def test_a_negative_timeout_is_refused(url: str) -> None:
    async with Connection(url) as connection, connection.SimpleQueue("tasks") as queue:
        with pytest.raises(errors.InvalidArgument, match="-1"):
            await queue.get(timeout=-1)


async def test_getting_waits_for_a_message(url: str) -> None:
    async with Connection(url) as connection, Connection(url) as other, connection.SimpleQueue("tasks") as queue:
        got: list[object] = []

        async def get() -> None:
            got.append((await queue.get()).payload)

        getting = spawn(get, "getting")
        await sleep(0.01)
        async with other.SimpleQueue("tasks") as far:
            await far.put("late")
        assert await getting.join(10)
        assert got == ["late"]


async def test_the_queue_is_there_before_anything_is_got(url: str) -> None:
    async with Connection(url) as connection:
        async with connection.SimpleQueue("tasks") as queue:
            await queue.put(1)
        async with connection.SimpleQueue("tasks") as queue:
            assert await queue.qsize() == 1
            assert bool(queue)


async def test_what_was_fetched_and_not_handed_out_goes_back(url: str) -> None:
    async with Connection(url) as connection, Connection(url) as other:
        queue = connection.SimpleQueue("tasks")
        for number in range(3):
            await queue.put(number)
        first = await queue.get(timeout=5)
        await connection.drain_events(timeout=5)
        assert len(queue.buffer) == 1
        await queue.close()
        await first.ack()
        async with other.SimpleQueue("tasks") as far:
            assert [(await far.get_nowait()).payload for _ in range(2)] == [1, 2]


async def test_closing_again_does_nothing(url: str) -> None:
    async with Connection(url) as connection:
        queue = connection.SimpleQueue("tasks")
        await queue.put(1)
        await queue.get(timeout=5)
        await queue.close()
        await queue.close()


async def test_closing_after_the_connection_is_no_error(url: str) -> None:
    async with Connection(url) as connection:
        queue = connection.SimpleQueue("tasks")
        await queue.put(1)
        await queue.put(2)
        await queue.get(timeout=5)
        await connection.drain_events(timeout=5)
        await connection.close()
        await queue.close()
        assert not queue.buffer


async def test_clearing_counts_what_is_deleted(url: str) -> None:
    async with Connection(url) as connection, connection.SimpleQueue("tasks") as queue:
        await queue.put(1)
        await queue.put(2)
        assert await queue.clear() == 2
        assert await queue.qsize() == 0


async def test_a_message_that_was_not_acknowledged_comes_again(url: str) -> None:
    async with Connection(url) as connection:
        async with connection.SimpleQueue("tasks") as queue:
            await queue.put(1)
            await queue.get_nowait()
        await connection.close()
        async with connection.SimpleQueue("tasks") as queue:
            assert (await queue.get_nowait()).delivery_info["redelivered"]


async def test_a_queue_without_acknowledgements_forgets_what_was_got(url: str) -> None:
    async with Connection(url) as connection, connection.SimpleQueue("tasks", no_ack=True) as queue:
        await queue.put(1)
        await queue.get(timeout=5)
        await connection.close()
        assert await queue.qsize() == 0


async def test_a_queue_of_ones_own_making_may_be_given(url: str) -> None:
    given: Queue = Queue("tasks", Exchange("work", "topic"), "task.*")
    async with Connection(url) as connection, connection.SimpleQueue(given) as queue:
        await queue.put(1, routing_key="task.a")
        assert (await queue.get(timeout=5)).delivery_info["exchange"] == "work"


async def test_options_reach_queue_and_exchange(url: str) -> None:
    async with Connection(url) as connection:
        queue = connection.SimpleQueue(
            "tasks", queue_opts={"max_length": 1}, queue_args={"x-overflow": "reject-publish"}
        )
        await queue.put(1)
        with pytest.raises(errors.Refused):
            await queue.put(2)
        assert connection.SimpleQueue("others", exchange_opts={"type": "fanout"}).queue.exchange.type == "fanout"  # type: ignore[union-attr]
        await queue.close()


async def test_a_message_that_cannot_be_decoded_can_be_rejected(url: str) -> None:
    async with Connection(url) as connection, connection.SimpleQueue("tasks", accept=["json"]) as queue:
        await queue.put(b"{", content_type="application/json", content_encoding="utf-8")
        message = await queue.get(timeout=5)
        with pytest.raises(errors.DecodeError):
            _ = message.payload
        await message.reject()
        assert await queue.qsize() == 0


async def test_the_channel_may_be_given(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.channel()
        queue = SimpleQueue(channel, "tasks")
        assert await queue.channel is channel
        await queue.put(1)
        message = await queue.get(timeout=5)
        assert message.channel is channel
        await queue.close()
        assert connection.SimpleBuffer("others", channel=channel).queue.exclusive


async def test_a_buffer_is_gone_with_its_connection(url: str) -> None:
    async with Connection(url) as connection, Connection(url) as other:
        buffer = connection.SimpleBuffer("scratch")
        assert isinstance(buffer, SimpleBuffer)
        await buffer.put(1)
        assert (await buffer.get(timeout=5)).payload == 1
        with pytest.raises(errors.ResourceLocked):
            await (await other.default_channel).queue_declare("scratch", passive=True)
        await connection.close()
        with pytest.raises(errors.NotFound):
            await (await other.default_channel).queue_declare("scratch", passive=True)


async def test_a_queue_shows_its_name(url: str) -> None:
    async with Connection(url) as connection, connection.SimpleQueue("tasks") as queue:
        assert repr(queue) == "<SimpleQueue 'tasks': 0 fetched>"
