"""Servers that are killed, and ways to them that fall silent: nothing acknowledged is lost, and nobody hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dulse import Connection, Message, Queue, errors
from dulse.testing.proxy import FaultProxy
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.server import Server

PATIENCE = 60.0
WORK = Queue("work")


def published(connection: Connection, ident: int, give_up: float) -> None:
    """Publish until it works."""
    while True:
        try:
            connection.ensure_connection(max_retries=1)
            connection.Producer().publish({"ident": ident}, routing_key="work")
        except errors.OperationalError:
            assert time.monotonic() < give_up
            connection.close()
            time.sleep(0.05)
        else:
            return


def consumed(url: str, wanted: set[int]) -> list[int]:
    """Consume until all these messages have come, through whatever happens."""
    found: list[int] = []
    give_up = time.monotonic() + PATIENCE

    def take(message: Message[dict[str, int]]) -> None:
        found.append(message.payload["ident"])
        message.ack()

    while not wanted <= set(found):
        assert time.monotonic() < give_up, f"{len(wanted - set(found))} of {len(wanted)} are missing"
        try:
            with Connection(url) as connection, connection.Consumer(WORK, on_message=take, accept=["json"]):
                while not wanted <= set(found):
                    connection.drain_events(timeout=5)
        except errors.OperationalError:
            time.sleep(0.05)
    return found


@contextmanager
def killed_and_started(server: Server, times: int) -> Iterator[threading.Event]:
    """Kill the server again and again meanwhile; gives what is set when it runs for good."""
    is_over = threading.Event()

    def kill() -> None:
        for _ in range(times):
            time.sleep(0.5)
            server.kill()
            server.start()
        is_over.set()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield is_over
    finally:
        thread.join(PATIENCE)


def declare(url: str) -> None:
    with Connection(url) as connection:
        WORK(connection.default_channel).declare()


def test_what_was_published_is_there_although_the_server_was_killed(server: PostgreSQL, url: str) -> None:
    declare(url)
    give_up = time.monotonic() + PATIENCE
    count = 0
    connection = Connection(url)
    with killed_and_started(server, 2) as is_over:
        while not is_over.is_set():
            published(connection, count, give_up)
            count += 1
    connection.close()

    assert count > 10
    consumed(url, set(range(count)))


def test_consumers_go_on_after_the_server_was_killed(server: PostgreSQL, url: str) -> None:
    declare(url)
    with Connection(url) as connection:
        producer = connection.Producer()
        for number in range(1500):
            producer.publish({"ident": number}, routing_key="work")

    with killed_and_started(server, 2):
        found = consumed(url, set(range(1500)))

    assert len(found) < 1500 + 2 * 200, "no more came again than a connection takes ahead, for each kill"


@pytest.fixture
def proxy(server: PostgreSQL | MariaDB) -> Iterator[FaultProxy]:
    with FaultProxy(server.host, server.port) as made:
        yield made


def ended_within(seconds: float, call: Callable[[], object]) -> None:
    began = time.monotonic()
    with pytest.raises(errors.OperationalError):
        call()
    assert time.monotonic() - began < seconds


def test_publishing_fails_in_time_when_the_way_falls_silent(server: PostgreSQL, url: str, proxy: FaultProxy) -> None:
    declare(url)
    connection = Connection(server.url_of(url.rpartition("/")[2], proxy.port))
    producer = connection.Producer()
    producer.publish({"ident": 0}, routing_key="work")
    proxy.stall()

    ended_within(10, lambda: producer.publish({"ident": 1}, routing_key="work"))

    proxy.resume()
    published(connection, 2, time.monotonic() + PATIENCE)
    connection.close()
    consumed(url, {0, 2})


def test_a_waiting_consumer_notices_that_the_way_has_fallen_silent(
    server: PostgreSQL, url: str, proxy: FaultProxy
) -> None:
    declare(url)
    connection = Connection(server.url_of(url.rpartition("/")[2], proxy.port))
    with connection.Consumer(WORK, on_message=lambda message: message.ack()):
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0.5)
        proxy.stall()

        ended_within(15, lambda: connection.drain_events(timeout=40))

        proxy.resume()
    connection.close()
