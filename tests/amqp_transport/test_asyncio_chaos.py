"""Tasks that publish, ask and take while calls are cancelled and the connection breaks in all ways: nothing is lost."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dulse import errors
from dulse.aio import Connection
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.asyncio_consuming import consumed
from tests.amqp_transport.conftest import PATIENCE
from tests.servers.rabbitmq import RabbitMQ

SECONDS = 5.0
ENDINGS = (errors.ConnectionError, errors.DeadlineExceeded, errors.NotFound)
"""What a call may end by here."""


class Chaos:
    """One connection, used by many tasks until the time is over."""

    def __init__(self, connection: Connection, proxy: FaultProxy, name: str, seed: int) -> None:
        self._connection = connection
        self._proxy = proxy
        self._name = name
        self._chance = random.Random(seed)
        self._missing = f"{name}.missing"
        self.published = 0
        self.accepted: set[int] = set()
        """What was published, and whose publish returned."""
        self.came: set[int] = set()

    async def run(self) -> None:
        channel, other = await self._connection.channel(), await self._connection.channel()
        work = [self._publish(channel) for _ in range(20)]
        work += [self._ask(other) for _ in range(3)] + [self._take(other) for _ in range(3)]
        tasks = [asyncio.create_task(self._endlessly(each)) for each in (*work, self._break())]
        await asyncio.sleep(SECONDS)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []
        await asyncio.to_thread(self._proxy.resume)
        try:
            await channel.flush(PATIENCE)
        except errors.NotFound:
            await channel.flush(PATIENCE)

    async def _endlessly(self, steps: Any) -> None:
        async for _ in steps:
            await asyncio.sleep(self._chance.random() * 0.004)

    async def _briefly(self, call: Coroutine[Any, Any, Any]) -> tuple[bool, Any]:
        """Await a call, or cancel it at any moment; tell whether it succeeded."""
        task = asyncio.create_task(call)
        try:
            await asyncio.wait([task], timeout=self._chance.choice([0.0005, 0.005, 0.5, PATIENCE]))
        finally:
            task.cancel()
        result: Any = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(result, (asyncio.CancelledError, *ENDINGS)):
            return False, None
        if isinstance(result, BaseException):
            raise result
        return True, result

    async def _publish(self, channel: Any) -> Any:
        while True:
            self.published += 1
            number = self.published
            poisonous = self._chance.random() < 0.01
            exchange = self._missing if poisonous else ""
            well, _ = await self._briefly(channel.basic_publish(str(number).encode(), exchange, self._name))
            if well and not poisonous:
                self.accepted.add(number)
            yield

    async def _ask(self, channel: Any) -> Any:
        while True:
            well, declared = await self._briefly(channel.queue_declare(self._name, passive=True))
            assert not well or declared.queue == self._name
            yield

    async def _take(self, channel: Any) -> Any:
        while True:
            well, message = await self._briefly(channel.basic_get(self._name))
            if well and message is not None:
                self.came.add(int(message.body))
                await message.ack()
            yield

    async def _break(self) -> Any:
        proxy = self._proxy
        while True:
            await asyncio.sleep(self._chance.random() * 0.8)
            faults: list[Callable[[], Any]] = [proxy.cut, proxy.finish, proxy.stall, self._garbage]
            fault = self._chance.choice(faults)
            await asyncio.to_thread(fault)
            if fault == proxy.stall:
                await asyncio.sleep(self._chance.random() * 0.3)
                await asyncio.to_thread(proxy.resume)
            yield

    def _garbage(self) -> None:
        self._proxy.garbage(self._chance.randbytes(30))


@pytest.mark.parametrize("confirm_publish", [False, True])
async def test_nothing_that_was_accepted_is_lost(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, *, confirm_publish: bool
) -> None:
    seed = secrets.randbits(32)
    options = {"confirm_publish": confirm_publish}
    connection = Connection(rabbitmq.url_of(port=proxy.port), heartbeat=5, transport_options=options)
    async with connection:
        await (await connection.default_channel).queue_declare(name, durable=True)
        chaos = Chaos(connection, proxy, name, seed)
        await chaos.run()

    assert len(chaos.accepted) > 100, f"seed {seed}"
    missing = chaos.accepted - chaos.came
    assert missing <= set(await consumed(rabbitmq.url, name, missing)), f"seed {seed}"
