"""Consuming programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.aio.mixins import ConsumerMixin, ConsumerProducerMixin
from dulse.links.waiting.aio import Event, spawn
from tests.front.aio.faulty import FaultyBroker

TASKS: Queue = Queue("tasks")


class Worker(ConsumerMixin):
    """Stops after so many messages, and writes down what happens."""

    def __init__(self, connection: Connection, stop_after: int = 1) -> None:
        self.connection = connection
        self.stop_after = stop_after
        self.got: list[Any] = []
        self.told: list[str] = []

    def get_consumers(self, Consumer: Any, channel: Channel) -> list[Any]:  # noqa: N803 - Kombu's name
        return [Consumer(queues=[TASKS], callbacks=[self.on_task], accept=["json"])]

    async def on_task(self, body: Any, message: Any) -> None:
        self.got.append(body)
        await message.ack()
        self.should_stop = len(self.got) >= self.stop_after

    def on_connection_revived(self) -> None:
        self.told.append("connected")

    async def on_consume_ready(
        self, connection: Connection, channel: Channel, consumers: Sequence[Any], **kwargs: Any
    ) -> None:
        self.told.append(f"ready with {len(consumers)} and {kwargs}")

    def on_consume_end(self, connection: Connection, channel: Channel) -> None:
        self.told.append("ended")

    @asynccontextmanager
    async def extra_context(self, connection: Connection, channel: Channel) -> AsyncIterator[None]:
        self.told.append("entered")
        yield
        self.told.append("left")


async def put(connection: Connection, *bodies: Any) -> None:
    for body in bodies:
        await connection.Producer().publish(body, routing_key="tasks", declare=[TASKS])


async def test_a_program_consumes_until_it_is_told_to_stop(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1, 2)
        worker = Worker(connection, stop_after=2)
        await worker.run(speed="high")
        assert worker.got == [1, 2]
        assert worker.told == ["connected", "entered", "ready with 1 and {'speed': 'high'}", "left", "ended"]
        assert await TASKS(connection).get() is None


async def test_a_program_consumes_on_a_connection_of_its_own(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1)
        await connection.close()
        worker = Worker(connection)
        await worker.run()
        assert worker.got == [1]
        assert not connection.connected


async def test_a_program_that_is_idle_notices_that_it_shall_stop(url: str) -> None:
    iterated = Event()

    class Idle(Worker):
        def on_iteration(self) -> None:
            iterated.set()

    worker = Idle(Connection(url))
    running = spawn(worker.run, "worker")
    assert await iterated.wait(10)
    worker.should_stop = True
    assert await running.join(30)


async def test_a_program_that_cannot_connect_notices_that_it_shall_stop(url: str) -> None:
    broker = FaultyBroker(url)
    broker.refusals = [errors.make(errors.ConnectionRefused, "nobody listens") for _ in range(1000)]
    refused = Event()

    class Unlucky(Worker):
        def on_connection_error(self, exc: Exception, interval: float) -> None:
            refused.set()

    worker = Unlucky(Connection("a.example", transport=broker.driver))
    running = spawn(worker.run, "worker")
    assert await refused.wait(10)
    worker.should_stop = True
    assert await running.join(30)
    assert worker.got == []


async def test_a_program_goes_on_after_its_link_broke(url: str) -> None:
    broker = FaultyBroker(url)

    class Unlucky(Worker):
        async def on_task(self, body: Any, message: Any) -> None:
            await super().on_task(body, message)
            if len(self.got) == 1:
                broker.cut()

    async with Connection("a.example", transport=broker.driver) as connection:
        await put(connection, 1, 2)
        worker = Unlucky(connection, stop_after=2)
        await worker.run()
    assert worker.got == [1, 2]
    assert worker.told.count("connected") == 2


async def test_a_message_that_cannot_be_decoded_is_acknowledged(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer()
        await producer.publish(b"{", routing_key="tasks", declare=[TASKS], content_type="application/json")
        await put(connection, 2)
        worker = Worker(connection)
        await worker.run()
        assert worker.got == [2]
        await connection.close()
        assert await TASKS(connection).get() is None


async def test_consuming_may_be_limited_to_so_many_events(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1, 2, 3)
        worker = Worker(connection, stop_after=99)
        events = [event async for event in worker.consume(limit=2)]
        assert len(events) == 2
        assert worker.got == [1, 2]


async def test_consuming_ends_when_nothing_comes_in_time(url: str) -> None:
    async with Connection(url) as connection:
        await put(connection, 1)
        worker = Worker(connection, stop_after=99)
        with pytest.raises(errors.DeadlineExceeded):
            _ = [event async for event in worker.consume(timeout=0.02, safety_interval=0.01)]
        assert worker.got == [1]


async def test_an_error_of_the_program_itself_comes_out(url: str) -> None:
    class Broken(Worker):
        def on_iteration(self) -> None:
            raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        await Broken(Connection(url)).run()


async def test_a_program_must_say_what_it_consumes(url: str) -> None:
    class Idle(ConsumerMixin):
        def __init__(self, connection: Connection) -> None:
            self.connection = connection

    with pytest.raises(NotImplementedError, match=r"Idle.*get_consumers"):
        await Idle(Connection(url)).run()


async def test_a_program_publishes_on_a_second_connection(url: str) -> None:
    answers: Queue = Queue("answers")

    class Answering(ConsumerProducerMixin):
        def __init__(self, connection: Connection) -> None:
            self.connection = connection
            self.publishing: Any = None

        def get_consumers(self, Consumer: Any, channel: Channel) -> list[Any]:  # noqa: N803 - Kombu's name
            return [Consumer(queues=[TASKS], on_message=self.on_task)]

        async def on_task(self, message: Any) -> None:
            await self.producer.publish(message.payload + 1, routing_key="answers", declare=[answers])
            assert self.producer is self.producer
            self.publishing = await self.producer_connection
            assert self.producer.connection is self.publishing
            await message.ack()
            self.should_stop = True

    async with Connection(url) as connection:
        await put(connection, 1)
        program = Answering(connection)
        await program.run()
        message = await answers(connection).get()
        assert message is not None
        assert message.payload == 2
        assert program.publishing is not connection
        assert not program.publishing.connected
