"""A server that reads its data from disk after a restart is waited for, or told of; nothing is lost meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse import Connection, Message, Queue, errors
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]

WORK = Queue("work")
COUNT = 1500
PREFETCHED = 200
PATIENCE = 120


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """One with so many commands in its log that loading it takes as long as it is told to."""
    made = RedisServer(tmp_path / "redis", None)
    made.start()
    try:
        with Connection(made.url) as connection:
            WORK(connection.default_channel).declare()
            producer = connection.Producer()
            for number in range(COUNT):
                producer.publish({"ident": number}, routing_key="work")
        yield made
    finally:
        made.kill()


def is_loading(server: RedisServer) -> bool:
    try:
        server.cli("get", "something")
    except AssertionError as refused:
        return "LOADING" in str(refused)
    return False


def restart(server: RedisServer, seconds: float) -> None:
    """Kill it, and start it so that it loads for about that long."""
    server.kill()
    logs = (server.folder / "appendonlydir").glob("*.incr.aof")
    commands = sum(log.read_bytes().count(b"\r\n*") for log in logs)
    server._options = ["--key-load-delay", str(int(seconds * 1e6 / commands))]
    server.start(wait=False)
    give_up = time.monotonic() + PATIENCE
    while not is_loading(server):
        assert time.monotonic() < give_up
        time.sleep(0.02)


def consumed(connection: Connection, count: int) -> list[int]:
    found: list[int] = []

    def take(message: Message[dict[str, int]]) -> None:
        found.append(message.payload["ident"])
        message.ack()

    with connection.Consumer(WORK, on_message=take):
        while len(found) < count:
            connection.drain_events(timeout=PATIENCE)
    return found


def test_a_publisher_waits_for_a_server_that_loads(server: RedisServer) -> None:
    with Connection(server.url) as connection:
        producer = connection.Producer()
        producer.publish({"ident": COUNT}, routing_key="work")
        producer.flush()
        restart(server, 3)

        for number in range(COUNT + 1, COUNT + 100):
            producer.publish({"ident": number}, routing_key="work")
        producer.flush(timeout=PATIENCE)

        assert consumed(connection, COUNT + 100) == list(range(COUNT + 100))


def test_a_publisher_is_told_of_a_server_that_loads_for_long_and_what_it_had_sent_is_written_then(
    server: RedisServer,
) -> None:
    with Connection(server.url) as connection:
        producer = connection.Producer()
        producer.publish({"ident": COUNT}, routing_key="work")
        producer.flush()
        os.kill(server.pid, signal.SIGSTOP)
        for number in range(COUNT + 1, COUNT + 4):
            producer.publish({"ident": number}, routing_key="work")
        restart(server, 16)

        with pytest.raises(errors.OperationalError):
            producer.flush(timeout=2)
        with pytest.raises(errors.OperationalError):
            producer.publish({"ident": -1}, routing_key="work", timeout=2)

        assert is_loading(server)
        server.wait_until_ready()
        producer.flush(timeout=PATIENCE)
        assert consumed(connection, COUNT + 4) == list(range(COUNT + 4))


def test_a_consumer_goes_on_when_the_server_has_loaded(server: RedisServer) -> None:
    found: list[int] = []
    with Connection(server.url) as connection:

        def take(message: Message[dict[str, int]]) -> None:
            found.append(message.payload["ident"])
            message.ack()
            if len(found) == COUNT // 2:
                restart(server, 3)

        with connection.Consumer(WORK, on_message=take):
            give_up = time.monotonic() + PATIENCE
            while set(found) < set(range(COUNT)):
                assert time.monotonic() < give_up
                try:
                    connection.drain_events(timeout=5)
                except errors.OperationalError:
                    time.sleep(0.1)
    again = [number for number in found if found.count(number) > 1]
    assert len(set(again)) <= PREFETCHED, "no more came again than a connection takes ahead"


def test_connecting_to_a_server_that_loads_for_long_is_told_in_time(server: RedisServer) -> None:
    restart(server, 16)
    began = time.monotonic()

    with pytest.raises(errors.StorageBusy, match="still reading its data"), Connection(server.url) as connection:
        connection.connect()

    assert time.monotonic() - began < 15
