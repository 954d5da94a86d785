"""What the asyncio publish promises: confirmed, or told of by an error that names it, whatever is cancelled."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from dulse import errors
from dulse.aio import Connection, Message, Queue
from dulse.testing.proxy import Direction, FaultProxy
from tests.amqp_transport.conftest import PATIENCE
from tests.servers.rabbitmq import RabbitMQ


async def everything_in(url: str, name: str) -> list[bytes]:
    found = []
    async with Connection(url) as connection:
        channel = await connection.default_channel
        while (message := await channel.basic_get(name, no_ack=True)) is not None:
            found.append(message.body)
    return found


async def opened(url: str, name: str, **options: Any) -> Connection:
    connection = Connection(url, transport_options=options)
    await Queue(name)(connection).declare()
    return connection


async def test_one_message_for_a_missing_exchange_fails_alone_in_a_full_window(rabbitmq: RabbitMQ, name: str) -> None:
    told: list[bytes] = []
    connection = await opened(rabbitmq.url, name, on_unconfirmed=lambda message, _: told.append(message.body))
    producer = connection.Producer(routing_key=name)
    for number in range(900):
        exchange = f"{name}.missing" if number == 450 else ""
        await producer.publish(str(number).encode(), exchange=exchange)
    with pytest.raises(errors.NotFound, match=rf"no exchange '{name}\.missing'.*a message of 3 bytes"):
        await producer.flush(PATIENCE)
    assert told == [b"450"]
    await producer.publish(b"afterwards")
    await connection.close()
    came = await everything_in(rabbitmq.url, name)
    wanted = [str(number).encode() for number in range(900) if number != 450]
    assert list(dict.fromkeys(came)) == [*wanted, b"afterwards"]


async def test_messages_that_the_broker_cannot_take_fail_alone_without_a_hint(rabbitmq: RabbitMQ, name: str) -> None:
    told: list[bytes] = []
    connection = await opened(rabbitmq.url, name, on_unconfirmed=lambda message, _: told.append(message.body))
    channel = await connection.channel()
    for number in range(300):
        properties = {"expiration": "soon"} if number in {100, 101, 200} else {}
        await channel.basic_publish(Message(str(number).encode(), properties=properties), "", name)
    with pytest.raises(errors.PreconditionFailed, match="expiration"):
        await channel.flush(PATIENCE)
    assert told == [b"100", b"101", b"200"]
    assert channel.is_open
    await connection.close()
    came = await everything_in(rabbitmq.url, name)
    assert set(came) == {str(number).encode() for number in range(300)} - {b"100", b"101", b"200"}


async def test_a_consumer_lives_on_when_a_message_has_closed_its_channel(rabbitmq: RabbitMQ, name: str) -> None:
    connection = await opened(rabbitmq.url, name)
    channel = await connection.channel()
    found: list[bytes] = []

    async def on_message(message: Message[Any]) -> None:
        found.append(message.body)
        await message.ack()

    await channel.basic_qos(0, 10, False)
    await channel.basic_consume(name, callback=on_message)
    await channel.basic_publish(b"lost", f"{name}.missing", name)
    with pytest.raises(errors.NotFound):
        await channel.flush(PATIENCE)
    await channel.basic_publish(b"found", "", name)
    while not found:
        await connection.drain_events(timeout=PATIENCE)
    await connection.close()
    assert found == [b"found"]


async def test_a_mistake_of_another_kind_closes_the_channel_and_loses_nothing_unconfirmed(
    rabbitmq: RabbitMQ, name: str
) -> None:
    connection = await opened(rabbitmq.url, name)
    channel = await connection.channel()
    for number in range(200):
        await channel.basic_publish(str(number).encode(), "", name)
    with pytest.raises(errors.NotFound):
        await channel.queue_declare(f"{name}.missing", passive=True)
    assert not channel.is_open
    with pytest.raises(errors.ChannelClosed, match=r"closed by the broker.*no queue"):
        await channel.basic_publish(b"too late", "", name)
    await connection.close()
    assert set(await everything_in(rabbitmq.url, name)) == {str(number).encode() for number in range(200)}


async def test_waiting_for_each_confirm_raises_its_own_error(rabbitmq: RabbitMQ, name: str) -> None:
    async with await opened(rabbitmq.url, name, confirm_publish=True) as connection:
        channel = await connection.channel()
        results = await asyncio.gather(
            channel.basic_publish(b"one", "", name),
            channel.basic_publish(b"lost", f"{name}.missing", name),
            channel.basic_publish(b"two", "", name),
            return_exceptions=True,
        )
    assert [type(each) for each in results] == [type(None), errors.NotFound, type(None)]


async def test_a_full_queue_that_rejects_raises_refused_naming_the_message(rabbitmq: RabbitMQ, name: str) -> None:
    async with Connection(rabbitmq.url) as connection:
        full: Queue[Any] = Queue(name, max_length=1, queue_arguments={"x-overflow": "reject-publish"})(connection)
        await full.declare()
        producer = connection.Producer(routing_key=name)
        await producer.publish(b"fits")
        await producer.flush()
        await producer.publish(b"one too many")
        with pytest.raises(errors.Refused) as caught:
            await producer.flush()
    assert caught.value.message.body == b"one too many"


async def test_a_publish_that_is_cancelled_leaves_its_message_on_its_way(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    connection = await opened(rabbitmq.url_of(port=proxy.port), name, confirm_publish=True)
    producer = connection.Producer(routing_key=name)
    await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
    tasks = [asyncio.create_task(producer.publish(str(number).encode())) for number in range(3)]
    await asyncio.sleep(0.1)
    tasks[1].cancel()
    await asyncio.gather(*tasks[1:2], return_exceptions=True)
    await asyncio.to_thread(proxy.cut)
    await asyncio.to_thread(proxy.resume)
    await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), PATIENCE)
    await producer.flush(PATIENCE)
    await connection.close()
    assert set(await everything_in(rabbitmq.url, name)) == {b"0", b"1", b"2"}


async def test_a_publish_that_is_cancelled_while_it_waits_for_room_is_not_sent(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    connection = await opened(rabbitmq.url_of(port=proxy.port), name, window_messages=2)
    producer = connection.Producer(routing_key=name)
    await asyncio.to_thread(proxy.stall)
    for number in range(2):
        await producer.publish(str(number).encode())
    waiting = [asyncio.create_task(producer.publish(body)) for body in (b"cancelled", b"later")]
    await asyncio.sleep(0.1)
    waiting[0].cancel()
    await asyncio.to_thread(proxy.resume)
    await asyncio.wait_for(waiting[1], PATIENCE)
    await producer.flush(PATIENCE)
    await connection.close()
    assert await everything_in(rabbitmq.url, name) == [b"0", b"1", b"later"]


async def test_the_reply_to_a_cancelled_call_is_not_mistaken_for_the_next_ones(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async with await opened(rabbitmq.url_of(port=proxy.port), name) as connection:
        channel = await connection.channel()
        await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
        first = asyncio.create_task(channel.queue_declare(name, passive=True))
        await asyncio.sleep(0.05)
        first.cancel()
        second = asyncio.create_task(channel.queue_purge(name))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(proxy.resume)
        assert await asyncio.wait_for(second, PATIENCE) == 0


@pytest.mark.parametrize("no_ack", [False, True])
async def test_what_a_cancelled_get_took_is_not_lost(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, *, no_ack: bool
) -> None:
    async with await opened(rabbitmq.url_of(port=proxy.port), name) as connection:
        channel = await connection.channel()
        await channel.basic_publish(b"message", "", name)
        await channel.flush()
        await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
        getting = asyncio.create_task(channel.basic_get(name, no_ack=no_ack))
        await asyncio.sleep(0.05)
        getting.cancel()
        await asyncio.to_thread(proxy.resume)
        deadline = time.monotonic() + PATIENCE
        message = None
        while message is None and time.monotonic() < deadline:
            message = await channel.basic_get(name, no_ack=no_ack)
        assert message is not None
        assert message.body == b"message"
        if not no_ack:
            await message.ack()


async def test_a_consumer_whose_start_was_cancelled_takes_nothing(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async with await opened(rabbitmq.url_of(port=proxy.port), name) as connection:
        channel = await connection.channel()
        await channel.basic_publish(b"message", "", name)
        await channel.flush()
        await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
        starting = asyncio.create_task(channel.basic_consume(name, callback=print))
        await asyncio.sleep(0.05)
        starting.cancel()
        await asyncio.to_thread(proxy.resume)
        deadline = time.monotonic() + PATIENCE
        message = None
        while message is None and time.monotonic() < deadline:
            message = await channel.basic_get(name, no_ack=True)
        assert message is not None


async def test_all_that_is_published_in_one_turn_of_the_loop_goes_out_in_one_send(
    rabbitmq: RabbitMQ, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await opened(rabbitmq.url, name, confirm_publish=True) as connection:
        channel = await connection.channel()
        link: Any = channel.transport_channel
        sends: list[int] = []
        write = link._wire._transport.write

        def counted(data: bytes) -> None:
            sends.append(len(data))
            write(data)

        monkeypatch.setattr(link._wire._transport, "write", counted, raising=False)
        await asyncio.gather(*(channel.basic_publish(b"x" * 100, "", name) for _ in range(50)))
        assert len(sends) == 1


async def test_publishing_is_blocked_while_the_broker_is_short_of_memory(rabbitmq: RabbitMQ, name: str) -> None:
    connection = await opened(rabbitmq.url, name, blocked_timeout=0.5)
    producer = connection.Producer(routing_key=name)
    with rabbitmq.memory_alarm():
        await producer.publish(b"makes the broker say so")
        link: Any = (await connection.default_channel).transport_channel.link  # type: ignore[attr-defined]
        while link.blocked is None:  # noqa: ASYNC110 - what the broker says of itself can only be looked at
            await asyncio.sleep(0.01)
        with pytest.raises(errors.Blocked, match="was not sent"):
            await producer.publish(b"x")
        with pytest.raises(errors.DeadlineExceeded, match="low on memory"):
            await producer.publish(b"x", timeout=0.2)
        waiting = asyncio.create_task(producer.publish(b"last", timeout=PATIENCE))
        await asyncio.sleep(0.05)
    await asyncio.wait_for(waiting, PATIENCE)
    await producer.flush(PATIENCE)
    await connection.close()
    came = await everything_in(rabbitmq.url, name)
    assert came == [b"makes the broker say so", b"last"]
