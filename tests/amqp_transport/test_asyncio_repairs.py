"""A channel that is being repaired when its connection breaks too."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from dulse import errors
from dulse.aio import Connection
from tests.amqp_transport.conftest import PATIENCE, taken
from tests.servers.rabbitmq import RabbitMQ

CLOSE = bytes([0, 20, 0, 40])
"""Class and method of channel.close, as they begin its frame's payload (AMQP 0-9-1 §4.2.4)."""
NOISE = b"\xff" * 16


class Interjector:
    """Stands between client and broker, and says something after the n-th channel.close, in the same breath."""

    def __init__(self, broker: tuple[str, int], after: int) -> None:
        self._broker = broker
        self._left = after
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.has_spoken = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            broker = socket.create_connection(self._broker)
            for each in (client, broker):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            threading.Thread(target=self._pass_on, args=(client, broker, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(broker, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, listens: bool) -> None:
        with target:
            while True:
                try:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if listens and CLOSE in data:
                        self._left -= 1
                        if not self._left:
                            data += NOISE
                            self.has_spoken.set()
                    target.sendall(data)
                except OSError:
                    return

    def stop(self) -> None:
        """Take no more clients."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.mark.parametrize("after", [1, 2])
async def test_a_message_is_refused_and_the_connection_lost_at_once(
    rabbitmq: RabbitMQ, name: str, *, after: int
) -> None:
    between = Interjector(("127.0.0.1", rabbitmq.port), after)
    told: list[str] = []
    options = {"on_unconfirmed": lambda message, error: told.append(f"{message.exchange}: {type(error).__name__}")}
    try:
        async with Connection(rabbitmq.url_of(port=between.port), transport_options=options) as connection:
            channel = await connection.channel()
            await channel.queue_declare(name)
            await channel.basic_publish("before", "", name)
            await channel.basic_publish("refused", "missing", name)
            with pytest.raises(errors.NotFound, match="missing"):
                await channel.flush(PATIENCE)
            await channel.basic_publish("after", "", name)
            await channel.flush(PATIENCE)
            assert channel.is_open
    finally:
        between.stop()

    assert between.has_spoken.is_set()
    assert told == ["missing: NotFound"]
    assert set(taken(rabbitmq.url, name)) == {b"before", b"after"}


async def test_what_waits_when_a_mistake_closes_the_channel_is_confirmed_before_the_connection_is_closed(
    rabbitmq: RabbitMQ, name: str
) -> None:
    async with Connection(rabbitmq.url, transport_options={"confirm_publish": True}) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True)
        message = channel.prepare_message("x", properties={"delivery_mode": 2})
        publishing = [asyncio.create_task(channel.basic_publish(message, "", name)) for _ in range(50)]
        await asyncio.sleep(0)
        with pytest.raises(errors.NotFound):
            await channel.queue_declare(f"{name}.missing", passive=True)
        assert not all(each.done() for each in publishing)

    await asyncio.wait_for(asyncio.gather(*publishing), PATIENCE)
    assert len(taken(rabbitmq.url, name)) >= 50
