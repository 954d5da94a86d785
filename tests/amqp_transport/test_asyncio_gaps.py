"""By asyncio, nothing falls between two states when a call gives up, or something ends while it is being mended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dulse import errors
from dulse.aio import Channel, Connection, Message
from dulse.amqp.life import Status
from dulse.links.asynchronous.link import Link
from dulse.model.message import Outgoing
from dulse.testing.proxy import Direction, FaultProxy
from tests.amqp_transport.conftest import PATIENCE, taken
from tests.amqp_transport.gate import Gate
from tests.servers.rabbitmq import RabbitMQ

SOON = 0.2
"""Seconds that are too few for an answer that is held up."""


def link_of(channel: Channel) -> Link:
    port: Any = channel.transport_channel
    link: Link = port.link
    return link


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


async def test_a_consumer_whose_start_took_too_long_swallows_nothing(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True)
        await channel.basic_publish("message", "", name)
        await channel.flush(PATIENCE)
        await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
        with pytest.raises(errors.DeadlineExceeded):
            await channel.transport_channel.consume(name, print, consumer_tag="late", timeout=SOON)
        await asyncio.to_thread(proxy.resume)
        await link_of(channel).flush(PATIENCE)
        while (message := await channel.basic_get(name)) is None:
            with pytest.raises(errors.DeadlineExceeded):
                await connection.drain_events(timeout=0.05)
        assert message.body == b"message"
        await message.ack()
        found: list[bytes] = []
        await channel.basic_consume(
            name, consumer_tag="late", no_ack=True, callback=lambda message: found.append(message.body)
        )
        await channel.basic_publish("another", "", name)
        while not found:
            await connection.drain_events(timeout=PATIENCE)


async def test_all_who_wait_without_confirms_go_on_when_there_is_a_connection_again(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    count = 2500
    options = {"confirm_publish": "off"}
    async with Connection(rabbitmq.url_of(port=proxy.port), transport_options=options) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True)
        await asyncio.to_thread(proxy.refuse)
        await asyncio.to_thread(proxy.cut)
        await until(lambda: link_of(channel).wire is None)
        waiting = [asyncio.create_task(channel.basic_publish(str(number), "", name)) for number in range(count)]
        await asyncio.sleep(0)
        await asyncio.to_thread(proxy.resume)
        await asyncio.wait_for(asyncio.gather(*waiting), 15)
        await channel.queue_declare(name, durable=True)  # which is answered behind them all
    assert len(taken(rabbitmq.url, name)) == count


async def test_a_channel_that_is_closed_before_its_confirms_come_tells_of_its_messages(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    told: list[bytes] = []
    options = {"on_unconfirmed": lambda message, _: told.append(message.body), "confirm_publish": True}
    connection = Connection(rabbitmq.url_of(port=proxy.port), transport_options=options)
    channel = await connection.channel()
    await channel.queue_declare(name, durable=True)
    await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
    waiting = asyncio.create_task(channel.basic_publish("waited for", "", name))
    cancelled = asyncio.create_task(channel.basic_publish("left alone", "", name))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(errors.DeadlineExceeded):
        await channel.transport_channel.close(timeout=SOON)
    with pytest.raises(errors.Unconfirmed):
        await asyncio.wait_for(waiting, PATIENCE)
    assert told == [b"left alone"]
    await asyncio.to_thread(proxy.resume)
    with pytest.raises(errors.Unconfirmed):
        await connection.close()


async def test_a_channel_that_is_closed_while_it_is_repaired_sends_nothing_more(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    gate = Gate(("127.0.0.1", rabbitmq.port), "confirm.select-ok", after=2)  # of the second channel under its number
    options = {"on_unconfirmed": lambda message, _: told.append(message.body)}
    told: list[bytes] = []
    with gate:
        connection = Connection(rabbitmq.url_of(port=gate.port), transport_options=options)
        channel = await connection.channel()
        await channel.basic_publish("refused", "missing", name)
        await channel.basic_publish("another", "", name)
        await asyncio.to_thread(gate.wait)
        with pytest.raises(errors.DeadlineExceeded):
            await channel.transport_channel.close(timeout=SOON)
        assert told == [b"refused", b"another"]
        gate.open()
        other = await connection.channel()
        await other.queue_declare(name, durable=True)
        await other.basic_publish("after", "", name)
        with pytest.raises(errors.Unconfirmed):
            await connection.close()
        assert gate.connections == 1
    assert taken(rabbitmq.url, name) == [b"after"]


async def test_nothing_is_published_any_more_once_goodbye_is_said(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    connection = Connection(rabbitmq.url_of(port=proxy.port))
    channel = await connection.channel()
    await channel.queue_declare(name, durable=True)
    await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
    closing = asyncio.create_task(connection.close())
    await until(lambda: link_of(channel).status is Status.CLOSED)
    with pytest.raises(errors.ConnectionClosed):
        await channel.transport_channel.publish(b"too late", {}, "", name)
    await asyncio.to_thread(proxy.resume)
    await closing


async def test_what_is_unconfirmed_when_a_method_ends_the_connection_is_sent_again(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    async with Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True)
        await asyncio.to_thread(proxy.stall, Direction.TO_CLIENT)
        for number in range(10):
            await channel.basic_publish(str(number), "", name)
        asking = asyncio.create_task(channel.exchange_declare(name, type="of no known kind"))
        await asyncio.sleep(0)
        await asyncio.to_thread(proxy.resume)
        with pytest.raises(errors.DulseError):
            await asyncio.wait_for(asking, PATIENCE)
        await link_of(channel).flush(PATIENCE)
        assert not any(each.unconfirmed for each in link_of(channel).ports.values())
    assert {int(each) for each in taken(rabbitmq.url, name)} == set(range(10))


async def test_each_of_many_that_fail_is_told(rabbitmq: RabbitMQ, name: str) -> None:
    told: list[bytes] = []
    options = {"on_unconfirmed": lambda message, _: told.append(message.body), "confirm_publish": True}
    async with Connection(rabbitmq.url, transport_options=options) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        messages = [
            Outgoing(str(number).encode(), {}, "missing" if number % 2 else "", name, False) for number in range(6)
        ]
        with pytest.raises(errors.NotFound) as caught:
            await channel.transport_channel.publish_many(messages)
        assert len(caught.value.__notes__) == 2
    assert told == []  # as they were raised


async def test_a_paused_channel_does_not_keep_others_from_being_read(rabbitmq: RabbitMQ, name: str) -> None:
    async with Connection(rabbitmq.url, heartbeat=0) as connection:
        paused, other = await connection.channel(), await connection.channel()
        await paused.queue_declare(name)
        exclusive = (await other.queue_declare("", exclusive=True)).queue
        for _ in range(40):
            await paused.basic_publish(b"x" * 100_000, "", name)
        await paused.flush(PATIENCE)
        found: list[bytes] = []
        await other.basic_consume(exclusive, callback=lambda message: found.append(message.body), no_ack=True)
        await paused.flow(False)
        await paused.basic_consume(name, callback=print)
        wire = link_of(paused).need_wire()
        await until(lambda: wire.is_paused)
        with pytest.raises(errors.DeadlineExceeded):
            await connection.drain_events(timeout=SOON)
        async with Connection(rabbitmq.url) as publishing:
            channel = await publishing.channel()
            await channel.basic_publish("message", "", exclusive)
        while not found:
            await connection.drain_events(timeout=10)


async def test_a_channel_whose_opening_is_cancelled_is_closed_again(rabbitmq: RabbitMQ) -> None:
    async with Connection(rabbitmq.url, transport_options={"channel_max": 4}) as connection:
        first = await connection.channel()
        for _ in range(10):
            opening = asyncio.create_task(connection.channel())
            await until(lambda: bool(link_of(first).calls))
            opening.cancel()
            await asyncio.wait([opening])
            for _ in range(2):  # the broker opens it and closes it again
                await first.basic_qos(0, 1)
        assert (await connection.channel()).is_open


async def test_a_channel_that_is_closed_while_its_connection_is_restored_does_not_come_back(
    rabbitmq: RabbitMQ, name: str
) -> None:
    with Gate(("127.0.0.1", rabbitmq.port), "basic.consume-ok", after=2) as gate:
        async with Connection(rabbitmq.url_of(port=gate.port)) as connection:
            channel, other = await connection.channel(), await connection.channel()
            await channel.queue_declare(name, durable=True)
            await channel.basic_consume(name, callback=print)
            await asyncio.to_thread(gate.cut)
            await asyncio.to_thread(gate.wait)
            await channel.close()
            gate.open()
            await other.basic_publish("message", "", name)
            await other.flush(PATIENCE)
            with pytest.raises(errors.DeadlineExceeded):
                await connection.drain_events(timeout=SOON)
            async with asyncio.timeout(PATIENCE):
                while (message := await other.basic_get(name, no_ack=True)) is None:
                    pass
            assert message.body == b"message"


async def test_a_flush_awaits_what_goes_on_elsewhere_after_a_mistake(rabbitmq: RabbitMQ, name: str) -> None:
    with Gate(("127.0.0.1", rabbitmq.port), "channel.close") as gate:
        async with Connection(rabbitmq.url_of(port=gate.port)) as connection:
            channel = await connection.channel()
            await channel.queue_declare(name, durable=True)
            asking = asyncio.create_task(channel.queue_declare(f"{name}.missing", passive=True))
            await asyncio.to_thread(gate.wait)
            await channel.basic_publish("message", "", name)
            flushing = [
                asyncio.create_task(channel.flush(PATIENCE)),
                asyncio.create_task(link_of(channel).flush(PATIENCE)),
            ]
            await asyncio.sleep(0)
            gate.open()
            await asyncio.wait(flushing, return_when=asyncio.FIRST_COMPLETED)
            assert not any(each.unconfirmed for each in link_of(channel).ports.values())
            await asyncio.gather(*flushing)
            with pytest.raises(errors.NotFound):
                await asking
    assert taken(rabbitmq.url, name) == [b"message"]


async def test_a_consumer_that_is_refused_when_its_channel_is_repaired_ends_alone(
    rabbitmq: RabbitMQ, name: str
) -> None:
    with Gate(("127.0.0.1", rabbitmq.port), "confirm.select-ok", after=2) as gate:
        async with Connection(rabbitmq.url_of(port=gate.port)) as connection:
            channel = await connection.channel()
            kept = (await channel.queue_declare("", exclusive=True)).queue
            await channel.queue_declare(name, durable=True)
            found: list[bytes] = []
            ended: list[str] = []
            await channel.basic_consume(name, consumer_tag="gone", callback=print, on_cancel=ended.append)
            await channel.basic_consume(kept, callback=lambda each: found.append(each.body), no_ack=True)
            await channel.basic_publish("refused", "missing", name)
            await asyncio.to_thread(gate.wait)
            async with Connection(rabbitmq.url) as other:
                await (await other.channel()).queue_delete(name)
            gate.open()
            for _ in range(2):
                await channel.basic_publish("message", "", kept)
            with pytest.raises(errors.NotFound, match="missing"):
                await channel.flush(PATIENCE)
            while len(found) < 2 or not ended:
                await connection.drain_events(timeout=PATIENCE)
            assert channel.is_open
            assert ended == ["gone"]


async def test_what_was_sent_ahead_is_settled_by_a_recover(rabbitmq: RabbitMQ, name: str) -> None:
    async with Connection(rabbitmq.url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        for number in range(10):
            await channel.basic_publish(str(number), "", name)
        await channel.flush(PATIENCE)
        await channel.basic_qos(0, 10)
        found: list[int] = []
        missing = set(range(10))

        async def on_message(message: Message[Any]) -> None:
            found.append(int(message.body))
            if len(found) > 1:
                missing.discard(found[-1])
                await message.ack()

        await channel.basic_consume(name, callback=on_message)
        await connection.drain_events(timeout=PATIENCE)
        await until(lambda: len(link_of(channel).ready) == 9)
        await channel.basic_recover(requeue=True)
        while missing:
            await connection.drain_events(timeout=PATIENCE)
        await channel.flush(PATIENCE)
        assert len(found) == 11
        port: Any = channel.transport_channel
        assert port.acks.outstanding == 0
