"""Whatever befalls an asyncio connection, nothing that was published or not acknowledged is lost, and nobody hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dulse import errors
from dulse.aio import Connection, Message, Queue
from dulse.testing.proxy import Direction, FaultProxy
from tests.amqp_transport.asyncio_consuming import consumed
from tests.amqp_transport.conftest import PATIENCE, in_order_of_their_last_coming
from tests.attempts import in_time_by_asyncio
from tests.servers.rabbitmq import RabbitMQ

WINDOW = 1000
LATE = 20.0
"""Seconds by which a machine under load may be late: whoever does not notice waits for a minute."""


async def declared(connection: Connection, name: str) -> Queue[Any]:
    queue: Queue[Any] = Queue(name)(connection)
    await queue.declare()
    return queue


@asynccontextmanager
async def meanwhile(work: Any) -> AsyncIterator[None]:
    """Do something beside the block, and see that it succeeded."""
    task = asyncio.create_task(work)
    try:
        yield
        await asyncio.wait_for(task, PATIENCE)
    finally:
        task.cancel()


async def fill(url: str, name: str, total: int) -> None:
    async with Connection(url) as connection:
        await declared(connection, name)
        producer = connection.Producer(routing_key=name)
        for number in range(total):
            await producer.publish(str(number).encode())
        await producer.flush(PATIENCE)


@pytest.mark.parametrize("confirm_publish", [False, True])
async def test_ten_resets_lose_nothing_that_is_published(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, *, confirm_publish: bool
) -> None:
    total, resets = (4000 if confirm_publish else 20_000), 10
    options = {"confirm_publish": confirm_publish}
    async with Connection(rabbitmq.url_of(port=proxy.port), transport_options=options) as connection:
        await declared(connection, name)
        producer = connection.Producer(routing_key=name)
        for number in range(total):
            if number % (total // resets) == 200:
                await asyncio.to_thread(proxy.cut)
            await producer.publish(str(number).encode())
        await producer.flush(PATIENCE)

    came = await consumed(rabbitmq.url, name, set(range(total)))
    assert len(came) - total <= resets * (2 if confirm_publish else WINDOW)


async def test_what_is_sent_again_comes_in_order_before_anything_new(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    total = 5000
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        await declared(connection, name)
        producer = connection.Producer(routing_key=name)
        for number in range(total):
            if number == total // 2:
                await asyncio.to_thread(proxy.cut)
            await producer.publish(str(number).encode())
        await producer.flush(PATIENCE)
    came = await consumed(rabbitmq.url, name, set(range(total)))
    assert in_order_of_their_last_coming(came) == list(range(total))


async def test_resets_while_consuming_lose_nothing(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    total, resets, prefetch = 6000, 8, 20
    await fill(rabbitmq.url, name, total)
    found: list[int] = []
    missing = set(range(total))

    async def on_message(message: Message[Any]) -> None:
        found.append(int(message.body))
        missing.discard(found[-1])
        await message.ack()
        if len(found) % (total // resets) == prefetch:
            await asyncio.to_thread(proxy.cut)

    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        bound = [Queue(name, no_declare=True)]
        async with connection.Consumer(bound, on_message=on_message, prefetch_count=prefetch):
            while missing:
                await connection.drain_events(timeout=PATIENCE)
    assert len(found) - total <= (resets + 1) * 2 * prefetch


@pytest.mark.timeout(180)
async def test_the_broker_is_killed_while_publishing_and_consuming(rabbitmq: RabbitMQ, name: str) -> None:
    total = 20_000
    missing = set(range(total))

    async def kill() -> None:
        for _ in range(2):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(rabbitmq.kill)
            await asyncio.to_thread(rabbitmq.start)

    async def publish() -> None:
        async with Connection(rabbitmq.url) as connection:
            producer = connection.Producer(routing_key=name)
            for number in range(total):
                await producer.publish(str(number).encode())
                if number % 100 == 0:
                    await asyncio.sleep(0.005)
            await producer.flush(PATIENCE)

    async def on_message(message: Message[Any]) -> None:
        missing.discard(int(message.body))
        await message.ack()

    async with Connection(rabbitmq.url) as connection:
        queue = await declared(connection, name)
        await asyncio.to_thread(rabbitmq.save_topology)
        consumer = connection.Consumer([queue], on_message=on_message, prefetch_count=100)
        async with meanwhile(kill()), meanwhile(publish()), consumer:
            while missing:
                await connection.drain_events(timeout=PATIENCE)


async def test_a_silent_peer_is_noticed_within_two_heartbeats(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    heartbeat = 2
    url = rabbitmq.url_of(port=proxy.port)

    async def attempt() -> float:
        async with Connection(url, heartbeat=heartbeat, transport_options={"reconnect_timeout": 0}) as connection:
            queue = await declared(connection, name)
            async with connection.Consumer([queue], on_message=lambda _: None):
                began = time.monotonic()
                await asyncio.to_thread(proxy.half_open)
                with pytest.raises(errors.ConnectionLost, match="two heartbeats"):
                    await connection.drain_events(timeout=PATIENCE)
                took = time.monotonic() - began
            await asyncio.to_thread(proxy.resume)
        assert took >= heartbeat
        return took

    await in_time_by_asyncio(2 * heartbeat + 1, attempt)


@asynccontextmanager
async def stalled(
    proxy: FaultProxy, url: str, name: str, heartbeat: int
) -> AsyncIterator[tuple[Connection, Queue[Any]]]:
    """Give a connection whose peer has just stalled, and a declared queue; see that the block ends in time."""
    connection = Connection(url, heartbeat=heartbeat, transport_options={"reconnect_timeout": 0})
    queue = await declared(connection, name)
    await asyncio.to_thread(proxy.stall)
    began = time.monotonic()
    yield connection, queue
    assert time.monotonic() - began <= 2 * heartbeat + LATE
    await connection.close()


async def test_a_stalled_peer_ends_a_declaration(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    async with stalled(proxy, rabbitmq.url_of(port=proxy.port), name, 1) as (_, queue):
        with pytest.raises(errors.ConnectionLost):
            await queue.declare()


async def test_a_stalled_peer_ends_a_wait_for_messages(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    async with stalled(proxy, rabbitmq.url_of(port=proxy.port), name, 1) as (connection, _):
        with pytest.raises(errors.ConnectionLost):
            await connection.drain_events(timeout=PATIENCE)


async def test_a_stalled_peer_ends_a_flush_which_names_what_is_unconfirmed(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async with stalled(proxy, rabbitmq.url_of(port=proxy.port), name, 1) as (connection, _):
        producer = connection.Producer(routing_key=name)
        await producer.publish(b"unconfirmed")
        with pytest.raises(errors.Unconfirmed) as caught:
            await producer.flush(PATIENCE)
    assert caught.value.message.body == b"unconfirmed"


async def test_a_stalled_peer_ends_publishing_and_closing_names_what_is_unconfirmed(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async with stalled(proxy, rabbitmq.url_of(port=proxy.port), name, 1) as (connection, _):
        producer = connection.Producer(routing_key=name)
        for _ in range(WINDOW):
            await producer.publish(b"x")
        with pytest.raises(errors.ConnectionLost):
            await producer.publish(b"one too many")
        with pytest.raises(errors.Unconfirmed):
            await connection.close()


async def test_a_call_has_a_deadline_without_heartbeats_too(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        producer = connection.Producer(routing_key=name)
        await declared(connection, name)
        await asyncio.to_thread(proxy.stall)
        await producer.publish(b"on its way")
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded, match="1 messages"):
            await producer.flush(timeout=0.3)
        with pytest.raises(errors.DeadlineExceeded):
            await connection.drain_events(timeout=0.3)
        assert 0.6 <= time.monotonic() - began < LATE
        await asyncio.to_thread(proxy.resume)
        await producer.flush()


async def test_garbage_is_a_lost_connection_which_is_replaced(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        queue = await declared(connection, name)
        producer = connection.Producer(routing_key=name)
        for data in (b"\x00" * 64, b"\x01\x00\x00\xff\xff\xff\xff", b"HTTP/1.1 400 Bad Request\r\n\r\n"):
            await asyncio.to_thread(proxy.garbage, data)
            await producer.publish(data)
            await producer.flush(PATIENCE)
        assert proxy.connections >= 3
        assert (await queue.declare()) is not None


async def test_a_connection_that_is_closed_by_the_broker_is_replaced(rabbitmq: RabbitMQ, name: str) -> None:
    async with Connection(rabbitmq.url) as connection:
        queue: Queue[Any] = Queue(name, exclusive=True, durable=False)(connection)
        await queue.declare()
        found: list[bytes] = []

        async def on_message(message: Message[Any]) -> None:
            found.append(message.body)
            await message.ack()

        async with connection.Consumer([queue], on_message=on_message):
            await asyncio.to_thread(rabbitmq.close_connections)
            await connection.Producer(routing_key=name).publish(b"afterwards")
            while not found:
                await connection.drain_events(timeout=PATIENCE)
    assert found == [b"afterwards"]


async def test_acknowledging_a_delivery_of_a_lost_connection_does_nothing(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    await fill(rabbitmq.url, name, 2)
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        messages: list[Message[Any]] = []
        queue: Queue[Any] = Queue(name, no_declare=True)
        async with connection.Consumer([queue], on_message=messages.append, prefetch_count=1):
            await connection.drain_events(timeout=PATIENCE)
            await asyncio.to_thread(proxy.cut)
            await connection.drain_events(timeout=PATIENCE)
            first, again = messages
            assert again.body == first.body
            assert again.delivery_info["redelivered"]
            await first.ack()
            await again.ack()
            await connection.drain_events(timeout=PATIENCE)
            assert messages[2].body != first.body


async def test_publishing_waits_for_a_broker_that_is_away_and_no_longer_than_told(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        queue = await declared(connection, name)
        producer = connection.Producer(routing_key=name)
        await asyncio.to_thread(proxy.refuse)
        await asyncio.to_thread(proxy.cut)
        await asyncio.sleep(0.1)  # the link learns of it
        with pytest.raises(errors.DeadlineExceeded, match="there is no connection"):
            await producer.publish(b"too late", timeout=0.4)
        waiting = asyncio.create_task(producer.publish(b"in time"))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(proxy.resume)
        await asyncio.wait_for(waiting, PATIENCE)
        await producer.flush(PATIENCE)
        assert (await queue.declare()) is not None


async def test_after_the_time_for_reconnecting_all_is_told(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    told: list[bytes] = []
    options = {"reconnect_timeout": 0.5, "on_unconfirmed": lambda message, _: told.append(message.body)}
    connection = Connection(rabbitmq.url_of(port=proxy.port), transport_options=options)
    await declared(connection, name)
    producer = connection.Producer(routing_key=name)
    await producer.publish(b"confirmed")
    await producer.flush()
    await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
    await producer.publish(b"unconfirmed")
    await asyncio.sleep(0.05)
    await asyncio.to_thread(proxy.refuse)
    await asyncio.to_thread(proxy.cut)
    with pytest.raises(errors.ConnectionLost):
        await connection.drain_events(timeout=PATIENCE)
    assert told == [b"unconfirmed"]
    with pytest.raises(errors.Unconfirmed):
        await connection.close()
    await asyncio.to_thread(proxy.resume)


async def test_closing_while_the_broker_is_away_names_what_is_unconfirmed(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    connection = Connection(rabbitmq.url_of(port=proxy.port))
    await declared(connection, name)
    producer = connection.Producer(routing_key=name)
    await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
    await producer.publish(b"unconfirmed")
    await asyncio.sleep(0.05)
    await asyncio.to_thread(proxy.refuse)
    await asyncio.to_thread(proxy.cut)
    began = time.monotonic()
    with pytest.raises(errors.Unconfirmed) as caught:
        await connection.close(timeout=0.5)
    assert time.monotonic() - began < LATE
    assert caught.value.message.body == b"unconfirmed"
    await asyncio.to_thread(proxy.resume)


async def test_a_consumer_whose_queue_has_gone_meanwhile_is_told(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        kept = f"{name}.kept"
        ended: list[str] = []
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True)
        await channel.queue_declare(kept, exclusive=True)
        found: list[bytes] = []
        await channel.basic_consume(name, callback=print, on_cancel=ended.append, consumer_tag="gone")
        await channel.basic_consume(kept, callback=lambda each: found.append(each.body), no_ack=True)
        await asyncio.to_thread(proxy.refuse)
        await asyncio.to_thread(proxy.cut)
        async with Connection(rabbitmq.url) as other:
            await (await other.default_channel).queue_delete(name)
        await asyncio.to_thread(proxy.resume)
        while not ended:
            await connection.drain_events(timeout=PATIENCE)
        assert ended == ["gone"]
        await channel.basic_publish(b"message", "", kept)
        while not found:
            await connection.drain_events(timeout=PATIENCE)
