"""SimpleQueue and SimpleBuffer: queues as in the standard library."""

from __future__ import annotations

from dulse.aio.simple import SimpleBuffer, SimpleQueue
from dulse.testing.conformance import case
from dulse.testing.conformance.aio.broker import Broker
from dulse.testing.conformance.aio.listening import ready
from dulse.testing.conformance.expecting import expected


@case("what is put can be got, in order, and is gone once acknowledged")
async def put_and_get(broker: Broker) -> None:
    name = broker.name()
    connection = await broker.connection()
    async with SimpleQueue(connection, name) as queue:
        for number in range(3):
            await queue.put({"number": number})
        messages = [await queue.get(timeout=5) for _ in range(3)]
        assert [message.payload for message in messages] == [{"number": number} for number in range(3)]
        for message in messages[:2]:
            await message.ack()
    await connection.close()
    assert await ready(await broker.queue(name=name)) == [{"number": 2}]


@case("get_nowait gives a message that is there, and raises Empty where there is none")
async def without_waiting(broker: Broker) -> None:
    async with SimpleQueue(broker.main, broker.name()) as queue:
        with expected(queue.Empty):
            await queue.get_nowait()
        await queue.put("message")
        await queue.producer.flush()
        message = await queue.get_nowait()
        assert message.payload == "message"
        await message.ack()
        with expected(queue.Empty):
            await queue.get(block=False)


@case("qsize counts what nobody has fetched, and clear deletes it")
async def counting(broker: Broker) -> None:
    async with SimpleQueue(broker.main, broker.name()) as queue:
        for number in range(4):
            await queue.put(number)
        await queue.producer.flush()
        assert await queue.qsize() == 4
        assert await queue.clear() == 4
        assert await queue.qsize() == 0


@case("closing gives back what was fetched and not got")
async def closing(broker: Broker) -> None:
    name = broker.name()
    connection = await broker.connection()
    async with SimpleQueue(connection, name) as queue:
        for number in range(5):
            await queue.put(number)
        await (await queue.get(timeout=5)).ack()
    assert sorted(await ready(await broker.queue(name=name))) == [1, 2, 3, 4]


@case("a SimpleBuffer wants no acknowledgement, and ends with its connection")
async def buffers(broker: Broker) -> None:
    name = broker.name()
    connection = await broker.connection()
    async with SimpleBuffer(connection, name) as buffer:
        await buffer.put("message")
        message = await buffer.get(timeout=5)
        assert message.payload == "message"
        assert message.no_ack
        await buffer.close()
        await buffer.put("left there")
    await connection.close()
    assert await ready(await broker.queue(name=name)) == []
