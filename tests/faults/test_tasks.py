"""Tasks may be cancelled at any moment, be many, and live in several loops: no message is lost by that."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from dulse import errors
from dulse.aio import Connection, Message, Queue

QUEUE = Queue("work")


async def fill(connection: Connection, count: int) -> None:
    await QUEUE(connection).declare()
    await connection.Producer().publish_many(range(count), routing_key="work")


async def get_all(connection: Connection) -> list[Any]:
    queue = QUEUE(await connection.channel())
    found = []
    while (message := await queue.get(no_ack=True)) is not None:
        found.append(message.payload)
    return found


async def consume(connection: Connection, count: int, seconds: float = 10) -> list[int]:
    """Settle so many messages, or what comes in so many seconds."""
    found: list[int] = []

    async def on_message(message: Message[Any]) -> None:
        found.append(message.payload)
        await message.ack()

    await connection.Consumer(QUEUE, on_message=on_message).consume()
    with suppress(errors.DeadlineExceeded):
        end = time.monotonic() + seconds
        while len(found) < count:
            await connection.drain_events(timeout=max(0.0, end - time.monotonic()))
    return found


async def cancel_after(seconds: float, work: Any) -> bool:
    """Run something, cancelled after so many seconds; tells whether it came to its end."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(seconds)
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, errors.DeadlineExceeded):
        return False
    return True


def test_a_cancelled_drain_loses_nothing(url: str) -> None:
    settled: list[int] = []

    async def on_message(message: Message[Any]) -> None:
        settled.append(message.payload)
        await message.ack()

    async def main() -> None:
        chance = random.Random(1)
        async with Connection(url) as connection:
            await fill(connection, 100)
            await connection.Consumer(QUEUE, on_message=on_message, prefetch_count=3).consume()
            for _ in range(100):
                await cancel_after(chance.uniform(0, 0.003), drain(connection))
            with suppress(errors.DeadlineExceeded):
                while True:
                    await connection.drain_events(timeout=0.3)
            assert sorted(set(settled)) == list(range(100))

    async def drain(connection: Connection) -> None:
        while True:
            await connection.drain_events(timeout=1)

    asyncio.run(main())


def test_wait_for_around_a_drain_loses_nothing(url: str) -> None:
    async def main() -> list[int]:
        async with Connection(url) as connection, Connection(url) as other:
            await fill(connection, 0)
            found: list[int] = []
            producer = other.Producer()

            async def on_message(message: Message[Any]) -> None:
                found.append(message.payload)
                await message.ack()

            await connection.Consumer(QUEUE, on_message=on_message).consume()
            for number in range(100):
                await producer.publish(number, routing_key="work")
                with suppress(TimeoutError):
                    await asyncio.wait_for(connection.drain_events(), 0.001)
            with suppress(errors.DeadlineExceeded):
                while len(found) < 100:
                    await connection.drain_events(timeout=2)
            return found

    assert sorted(asyncio.run(main())) == list(range(100))


def test_a_drain_cancelled_while_it_sends_expired_messages_on_loses_none_of_them(url: str) -> None:
    """Those that have outlived their time go to the dead letters, the others to the consumer."""
    mortal = Queue("work", queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    found: list[int] = []

    async def on_message(message: Message[Any]) -> None:
        found.append(message.payload)
        await message.ack()

    async def main() -> list[Any]:
        chance = random.Random(4)
        async with Connection(url) as connection:
            await Queue("dead")(connection).declare()
            await mortal(connection).declare()
            producer = connection.Producer()
            for number in range(100):
                expiration = 0.001 if number % 2 else None
                await producer.publish(number, routing_key="work", expiration=expiration)
            await asyncio.sleep(0.01)
            # Declaring would have them sent on at once, and not as they are taken.
            await connection.Consumer(mortal, auto_declare=False, on_message=on_message).consume()
            for _ in range(100):
                await cancel_after(chance.uniform(0, 0.002), connection.drain_events(timeout=1))
            with suppress(errors.DeadlineExceeded):
                while True:
                    await connection.drain_events(timeout=0.5)
            queue = Queue("dead")(connection)
            dead = []
            while (message := await queue.get(no_ack=True)) is not None:
                dead.append(message.payload)
            return dead

    dead = asyncio.run(main())

    assert sorted(dead) == list(range(1, 100, 2))
    assert sorted(found) == list(range(0, 100, 2))


def test_a_cancelled_get_gives_its_message_to_nobody_or_back(url: str) -> None:
    async def main() -> None:
        chance = random.Random(2)
        got: list[int] = []

        async def get(queue: Queue[Any]) -> None:
            message = await queue.get()
            if message is not None:
                got.append(message.payload)
                await message.ack()

        async with Connection(url) as connection:
            await fill(connection, 100)
            queue = QUEUE(connection)
            for _ in range(100):
                await cancel_after(chance.uniform(0, 0.002), get(queue))
        async with Connection(url) as connection:
            rest = await get_all(connection)
        assert sorted([*got, *rest]) == list(range(100))

    asyncio.run(main())


def test_a_cancelled_publish_is_done_once_or_not_at_all_and_the_next_one_works(url: str) -> None:
    async def main() -> None:
        chance = random.Random(3)
        async with Connection(url) as connection:
            await fill(connection, 0)
            producer = connection.Producer()
            finished = [
                number
                for number in range(100)
                if await cancel_after(chance.uniform(0, 0.002), producer.publish(number, routing_key="work"))
            ]
            await producer.publish(100, routing_key="work")
            await asyncio.sleep(0.2)
            found = Counter(await get_all(connection))
            assert max(found.values()) == 1
            assert {*finished, 100} <= set(found)

    asyncio.run(main())


def test_a_cancelled_handler_leaves_its_message_to_be_settled_or_given_back(url: str) -> None:
    async def main() -> None:
        async with Connection(url) as connection:
            await fill(connection, 1)
            held: list[Message[Any]] = []

            async def work(message: Message[Any]) -> None:
                held.append(message)
                await asyncio.sleep(60)

            await connection.Consumer(QUEUE, on_message=work).consume()
            await cancel_after(0.2, connection.drain_events())
            assert len(held) == 1
        async with Connection(url) as connection:
            assert await get_all(connection) == [0]

    asyncio.run(main())


def test_1000_tasks_publish_on_one_connection(url: str) -> None:
    async def main() -> list[Any]:
        async with Connection(url) as connection:
            await QUEUE(connection).declare()
            producer = connection.Producer()
            await asyncio.gather(*(producer.publish(number, routing_key="work") for number in range(1000)))
            return await get_all(connection)

    assert sorted(asyncio.run(main())) == list(range(1000))


def test_1000_tasks_open_one_connection_together(url: str) -> None:
    async def main() -> list[Any]:
        async with Connection(url) as connection:
            await QUEUE(connection).declare()
            await connection.close()
            await connection.connect()

            async def publish(number: int) -> None:
                async with await connection.channel() as channel:
                    await connection.Producer(channel).publish(number, routing_key="work")

            await QUEUE(connection).declare()
            await asyncio.gather(*(publish(number) for number in range(1000)))
            return await get_all(connection)

    assert sorted(asyncio.run(main()))[-1000:] == list(range(1000))


def test_tasks_drain_one_connection_together(url: str) -> None:
    async def main() -> None:
        found: list[int] = []

        async def on_message(message: Message[Any]) -> None:
            found.append(message.payload)
            await message.ack()

        async with Connection(url) as connection:
            await fill(connection, 1000)
            await connection.Consumer(QUEUE, on_message=on_message, prefetch_count=10).consume()

            async def drain() -> None:
                while len(found) < 1000:
                    with suppress(errors.DeadlineExceeded):
                        await connection.drain_events(timeout=0.05)

            await asyncio.wait_for(asyncio.gather(*(drain() for _ in range(20))), 30)
        assert sorted(found) == list(range(1000))
        async with Connection(url) as connection:
            assert await get_all(connection) == []

    asyncio.run(main())


def test_a_loop_that_ends_with_its_connection_open_loses_nothing(
    shared_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave_open() -> Connection:
        connection = Connection(shared_url)
        await fill(connection, 10)
        messages = [await QUEUE(connection).get() for _ in range(5)]
        assert messages[0] is not None
        await messages[0].ack()
        await (await connection.default_channel).flush()
        return connection

    async def look() -> list[int]:
        async with Connection(shared_url) as connection:
            return await consume(connection, 9, 4)

    kept = asyncio.run(leave_open())
    found = asyncio.run(look())

    assert sorted(found) == list(range(1, 10))
    assert kept is not None


def test_a_connection_goes_on_in_another_loop_after_being_closed(url: str) -> None:
    connection = Connection(url)

    async def publish(number: int) -> None:
        await connection.connect()
        await QUEUE(connection).declare()
        await connection.Producer().publish(number, routing_key="work")
        if number == 2:
            assert 2 in await get_all(connection)
        await connection.close()

    for number in range(3):
        asyncio.run(publish(number))


def test_loops_in_several_threads_work_side_by_side(url: str) -> None:
    failures: list[BaseException] = []
    keeping = threading.Event()

    async def work(place: int) -> None:
        async with Connection(url) as connection:
            await QUEUE(connection).declare()
            producer = connection.Producer()
            for number in range(100):
                await producer.publish(place * 100 + number, routing_key="work")
            await asyncio.to_thread(keeping.wait, 20)

    async def collect() -> list[Any]:
        async with Connection(url) as connection:
            await QUEUE(connection).declare()
            found = await consume(connection, 800, 20)
            keeping.set()
            return found

    def run(place: int) -> None:
        try:
            asyncio.run(work(place))
        except BaseException as failure:  # noqa: BLE001 - looked at in the thread of the test
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    found = asyncio.run(collect())
    for thread in threads:
        thread.join(30)

    assert failures == []
    assert sorted(found) == list(range(800))


@pytest.mark.parametrize("steps", range(6))
def test_a_cancelled_close_gives_back_what_was_prefetched_all_the_same(url: str, steps: int) -> None:
    async def main() -> None:
        async with Connection(url) as observer:
            await fill(observer, 10)
            consumer = Connection(url)
            got: list[Any] = []
            channel = await consumer.channel()
            await consumer.Consumer(Queue("work"), channel, on_message=got.append, prefetch_count=10).consume()
            while not got:
                await consumer.drain_events(timeout=5)
            await got[0].ack()

            closing = asyncio.create_task(consumer.close())
            for _ in range(steps):
                await asyncio.sleep(0)
            closing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await closing

            if steps:  # else it had not begun
                (status,) = await observer.manager.queues("work")
                assert (status.ready, status.leased) == (9, 0)
            await consumer.close()
            (status,) = await observer.manager.queues("work")
            assert (status.ready, status.leased) == (9, 0)

    asyncio.run(main())
